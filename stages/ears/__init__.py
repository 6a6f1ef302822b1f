"""Listening to what was made: recognizers, forced alignment, voice activity."""
