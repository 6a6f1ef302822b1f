"""A command that serves pages until it is stopped."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def listening(said: str, *arguments: object) -> Iterator[str]:
    """`salm-duplex ARGUMENTS…` as a separate process; yields its URL. It must print `said` when ready, and stop cleanly
    on request."""
    command = [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        found = re.fullmatch(re.escape(said) + r" at (http://127\.0\.0\.1:\d+)  \(Ctrl-C stops\)\n", line)
        assert found, line + (process.stderr.read() if not line else "")
        yield found[1]
    finally:
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")
