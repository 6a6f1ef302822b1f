"""Training by rewards after supervised training: when the agent speaks, and nothing else. See `trainer.py`."""
