"""What people say beside their turns: which of it goes into a dialogue, where, and in which words."""
