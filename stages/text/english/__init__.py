"""The readings of English chat where it wants another than the grammar's own."""
