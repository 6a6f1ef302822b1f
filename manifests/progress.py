"""The progress callback of builds, training and evaluation."""

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called as `progress(done, total, message)`: units done, total units (0 if unknown), and the current activity."""


def silent(done: int, total: int, message: str) -> None:
    """A progress callback that does nothing."""
