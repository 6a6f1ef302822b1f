"""Does a corpus tell what it should not? Probes and counts over a finished corpus."""
