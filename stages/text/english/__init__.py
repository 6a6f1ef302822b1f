"""Readings of English chat text that differ from the grammar's own."""
