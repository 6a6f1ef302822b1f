"""The command line in the test's own process."""

import io
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

from pipeline.cli import main

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


def run_inside(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command that ends early, such as one that rejects its request. Another process would spend ten seconds of
    a busy machine on imports."""
    argv = ["salm-duplex", *map(str, arguments)]
    out, err, before = io.StringIO(), io.StringIO(), {number: signal.getsignal(number) for number in HANDLED}
    code = 0
    try:
        with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "argv", argv):
            main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return subprocess.CompletedProcess(argv, code, out.getvalue(), err.getvalue())
