"""Building a corpus: plan, perform, publish. start with `driver.py`."""
