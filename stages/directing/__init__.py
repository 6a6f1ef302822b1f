"""The events that `director` writes into a dialogue, by rules or by an LLM."""
