"""One module per stage of a corpus build; each turns records into records and is independent of Ray."""
