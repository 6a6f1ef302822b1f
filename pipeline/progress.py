"""How long work reports on its way."""

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called as `progress(done, total, message)`: units done, units in all (0 while that is not known), and what is going on."""


def silent(done: int, total: int, message: str) -> None:
    """Progress that nobody watches."""
