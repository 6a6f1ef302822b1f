"""How well an agent converses: what it did on a test set's user channels, measured against the labels."""
