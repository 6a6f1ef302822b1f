"""The two ways in which a command fails; each carries one sentence for the user. See docs/troubleshooting.md, "Exit
codes"."""


class RequestError(Exception):
    """The request was wrong: exit code 2, and nothing was done."""


class WorkError(Exception):
    """The work failed: exit code 1, and finished work is kept."""
