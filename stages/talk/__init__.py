"""What people say besides their turns: which events a dialogue gets, where, and in which words."""
