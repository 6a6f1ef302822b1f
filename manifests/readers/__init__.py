"""Readers for the shapes of dialogues; `manifests.readers.shapes` lists them."""
