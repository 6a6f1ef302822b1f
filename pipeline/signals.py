"""Ctrl-C and SIGTERM unwind whatever runs, and the command ends with one sentence."""

import _thread
import os
import signal
import sys
import threading
from types import FrameType


class Stopped(BaseException):
    """A signal asked the command to end. Not a KeyboardInterrupt, which Typer catches to print "Aborted."."""


def stop_on_signals() -> None:
    """Make SIGINT and SIGTERM raise `Stopped` in the main thread; a second one ends the process immediately."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    signal.signal(signal.SIGUSR1, lambda number, frame: reclaim_sigterm())


def reclaim_sigterm() -> None:
    """Restore the SIGTERM handler after `ray.init`, whose own prints Ray's stack. Does nothing outside the command's
    process."""
    if signal.getsignal(signal.SIGINT) is not _stop:
        return
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)
    else:
        _thread.interrupt_main(signal.SIGUSR1)  # only the main thread may set handlers: this runs ours there


def _stop(number: int, frame: FrameType | None) -> None:
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_DFL)
    # A stopped command has no result, and Ray may print there that its workers end.
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    raise Stopped
