"""Building a corpus: plan, perform, publish. `driver.py` is the program; start there."""
