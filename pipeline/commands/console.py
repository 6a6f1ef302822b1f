"""Command output: the two consoles, JSON for programs, and progress."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from manifests.errors import WorkError
from manifests.progress import Progress, silent

out_console = Console(soft_wrap=True, highlight=False)
err_console = Console(stderr=True, soft_wrap=True, highlight=False)


def print_wide(table: Table) -> None:
    """Print a table in the terminal's width, or wide if the output is a file or pipe."""
    Console(width=None if sys.stdout.isatty() else 160, highlight=False).print(table)


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


@contextmanager
def writes(where: str | Path) -> Iterator[None]:
    """Turn a file system error into a sentence."""
    try:
        yield
    except OSError as error:
        raise WorkError(f"{where} can't be written: {error.strerror or error}.") from error


@contextmanager
def progress_shown(unit: str, quiet: bool = False) -> Iterator[Progress]:
    """A progress bar on a terminal, plain lines elsewhere, nothing with --json."""
    if quiet or not err_console.is_terminal:
        yield silent if quiet else _lines(unit)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=err_console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, message: bar.update(task, completed=done, total=total or None, description=message)


def _lines(unit: str) -> Progress:
    printed: list[tuple[int, str]] = []

    def tell(done: int, total: int, message: str) -> None:
        # Without a total (single stages), a line per dialogue would drown out the rest.
        if (total or (done and done % 100 == 0)) and (not printed or printed[-1] != (done, message)):
            printed.append((done, message))
            err_console.print(f"{done}/{total} {unit}: {escape(message)}" if total else f"{message} ({done} {unit})")

    return tell


def not_used(counts: Mapping[str, int], shown: int = 8) -> str:
    """The parts of the input that are not used, the most frequent ones by name."""
    first = [f"{name} {number} ×" for name, number in [*counts.items()][:shown]]
    more = [f"{len(counts) - shown} other things"] if len(counts) > shown else []
    return f"not used: {', '.join(first + more)}"


def span(seconds: float) -> str:
    """A duration in a readable unit."""
    if seconds < 5_400:
        return f"{seconds / 60:.1f} minutes"
    return f"{seconds / 3600:.1f} hours" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"
