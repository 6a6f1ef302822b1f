"""Ctrl-C and SIGTERM: whatever runs is unwound, and the command ends with one sentence."""

import _thread
import signal
import threading
from types import FrameType


class Stopped(BaseException):
    """A signal asked the command to end. No KeyboardInterrupt, which Typer catches to print "Aborted."."""


def stop_on_signals() -> None:
    """Have SIGINT and SIGTERM raise `Stopped` in the main thread; a second one ends the process at once."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    signal.signal(signal.SIGUSR1, lambda number, frame: reclaim_sigterm())


def reclaim_sigterm() -> None:
    """Take SIGTERM back after `ray.init`, whose handler prints Ray's stack. Does nothing in a process that is not the command's."""
    if signal.getsignal(signal.SIGINT) is not _stop:
        return
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)
    else:
        _thread.interrupt_main(signal.SIGUSR1)  # only the main thread may set handlers: this runs ours there


def _stop(number: int, frame: FrameType | None) -> None:
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_DFL)
    raise Stopped
