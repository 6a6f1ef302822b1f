"""From written text to the words a voice reads."""
