"""Effects that a real line adds to a clean channel."""
