"""Written text to the words a voice reads."""
