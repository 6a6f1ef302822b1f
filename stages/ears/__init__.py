"""Models that listen to generated audio: recognizers, forced alignment, voice activity."""
