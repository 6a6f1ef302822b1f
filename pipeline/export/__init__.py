"""`salm-duplex export`: a corpus in the form that another trainer, a hub or Praat reads, one module a form."""
