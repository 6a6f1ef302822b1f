"""Does a corpus leak what it should not? Probes and counts over a finished corpus."""
