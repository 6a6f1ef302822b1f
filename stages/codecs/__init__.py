"""Tokenizers of codecs other than the bundled one, each a module named in the recipe."""
