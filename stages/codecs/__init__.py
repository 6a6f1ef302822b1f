"""Tokenizers for codecs other than the bundled one, each named in the recipe by its import path."""
