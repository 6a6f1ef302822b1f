"""The commands of `salm-duplex`, one module each: its arguments, and what it prints.

A command's implementation is imported when it runs, so that `--help` and request errors are quick.
"""
