"""How long work says how far it is: one callback for builds, trainings and evaluations."""

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called as `progress(done, total, message)`: units done, units in all (0 while nobody knows), and what is being done."""


def silent(done: int, total: int, message: str) -> None:
    """A progress that nobody watches."""
