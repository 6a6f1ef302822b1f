"""`salm-duplex export`: a corpus in the format of another trainer, a hub or Praat; one module per format."""
