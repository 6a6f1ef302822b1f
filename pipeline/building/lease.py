"""One build at a time in one place: a file with a heartbeat, which a second build finds and is refused by."""

import json
import os
import socket
import sys
import threading
import time
import uuid
from dataclasses import asdict, dataclass
from types import TracebackType

import psutil

from manifests.errors import RequestError, WorkError
from manifests.store import Store

FILE = ".build/lease.json"
BEAT_S = 10.0
STALE_S = 60.0
SETTLE_S = 2.0
"""How long a remote store is given to show that another build took the place at the same moment."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who builds: the content of the file."""

    token: str
    host: str
    pid: int
    process_started: float
    """By the host's own count, to tell the process from a later one of the same number."""
    since: str
    command: str
    beat: int = 0


class Lease:
    """The right to build in a store, while the context lasts.

    Entering raises `RequestError` where another build holds it and is alive. Whether it lives is seen by its beats, which
    this process counts by its own clock, so that clocks of two machines need not agree; on the same host, by its process.
    A build that finds another's name in the file has `lost` its lease and must stop.
    """

    def __init__(self, store: Store, beat_s: float = BEAT_S, stale_s: float = STALE_S) -> None:
        self._store, self._beat_s, self._stale_s = store, beat_s, stale_s
        self._own = Holder(
            token=uuid.uuid4().hex,
            host=socket.gethostname(),
            pid=os.getpid(),
            process_started=psutil.Process().create_time(),
            since=time.strftime("%Y-%m-%d %H:%M:%S %Z"),
            command=" ".join(sys.argv),
        )
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)

    @property
    def lost(self) -> bool:
        return self._lost.is_set()

    def check(self) -> None:
        """Raise `WorkError` where the lease is lost."""
        if self.lost:
            raise WorkError(f"Another build took over {self._store}; this one stops, and what it finished is kept.")

    def __enter__(self) -> "Lease":
        while not self._store.create(FILE, _json(self._own)):
            self._wait_for_its_end()
            self._store.remove(FILE)
        if not self._store.is_local:
            # Two builds may have found the place free at once: the one that wrote last has it.
            time.sleep(SETTLE_S)
            if (other := self._holder()) is not None and other.token != self._own.token:
                raise self._refusal(other)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        holder = self._holder()
        if not self.lost and holder is not None and holder.token == self._own.token:
            self._store.remove(FILE)

    def _wait_for_its_end(self) -> None:
        """Return once the holder is seen to be gone; raises `RequestError` where it is seen to live."""
        holder = self._holder()
        if holder is None or _is_gone(holder):
            return
        if holder.host == self._own.host:
            raise self._refusal(holder)
        deadline = time.monotonic() + self._stale_s
        while time.monotonic() < deadline:
            time.sleep(min(1.0, self._beat_s))
            if (now := self._holder()) != holder:
                if now is None:
                    return
                raise self._refusal(now)

    def _beat(self) -> None:
        beats = 0
        while not self._ended.wait(self._beat_s):
            try:
                holder = self._holder()
                if holder is None:  # the build is over, and its work folder gone
                    return
                if holder.token != self._own.token:
                    self._lost.set()
                    return
                beats += 1
                self._store.write(FILE, _json(self._own, beats))
            except (OSError, WorkError):
                continue  # the work itself will meet the same store, and say so

    def _holder(self) -> Holder | None:
        try:
            return Holder(**json.loads(self._store.read(FILE)))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):  # not a lease of ours: nobody can hold it
            return None

    def _refusal(self, other: Holder) -> RequestError:
        return RequestError(
            f"{self._store} is being built already by process {other.pid} on {other.host}, since {other.since}; "
            f"wait for it, or stop it first."
        )


def _is_gone(holder: Holder) -> bool:
    """Whether the holder's process, on this host, is no more."""
    if holder.host != socket.gethostname():
        return False
    try:
        process = psutil.Process(holder.pid)
        same = abs(float(process.create_time()) - holder.process_started) <= 1
        return not same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _json(holder: Holder, beat: int = 0) -> bytes:
    return (json.dumps(asdict(holder) | {"beat": beat}, indent=1) + "\n").encode()
