"""The commands of `salm-duplex`, one module each: its arguments, and what it prints.

What a command does is imported when it runs, so that `--help` and a refused request are quick.
"""
