"""The two ways in which a command fails; each carries one sentence for the user. See README, "Exit codes"."""


class RequestError(Exception):
    """The request was wrong: exit code 2, and nothing was done."""


class WorkError(Exception):
    """The work failed on the way: exit code 1, and what was done is kept."""
