"""Readers of the shapes that dialogues come in; `manifests.readers.shapes` is the table of them."""
