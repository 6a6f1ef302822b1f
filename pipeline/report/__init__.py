"""Showing a corpus: its statistics, card, report page, and single dialogues."""
