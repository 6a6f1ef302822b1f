"""One build at a time per store: a file with a heartbeat stops a second build."""

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
"""How long to wait for a remote store to show that another build took the lease at the same moment."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The builder: the content of the file."""

    token: str
    host: str
    pid: int
    process_started: float
    """The process's start time on its host, which distinguishes it from a later one with the same pid."""
    since: str
    command: str
    beat: int = 0


class Lease:
    """The right to build in a store, for the duration of the context.

    Entering raises `RequestError` if another live build holds it. A live build is detected by its heartbeats, counted
    on this process's own clock, so that the machines' clocks need not agree; on the same host, by its process.
    A build that finds another builder in the file has `lost` its lease and must stop.
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
        """Raise `WorkError` if the lease is lost."""
        if self.lost:
            raise WorkError(f"Another build took over {self._store}; this one stops, and its finished shards are kept.")

    def __enter__(self) -> "Lease":
        while not self._store.create(FILE, _json(self._own)):
            self._wait_for_its_end()
            self._store.remove(FILE)
        if not self._store.is_local:
            # Two builds may have found the store free at the same time: the one that wrote last holds it.
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
        """Return once the holder is known to be gone; raises `RequestError` if it is alive."""
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
                if holder is None:  # the build is over, and its work folder is gone
                    return
                if holder.token != self._own.token:
                    self._lost.set()
                    return
                beats += 1
                self._store.write(FILE, _json(self._own, beats))
            except (OSError, WorkError):
                continue  # the work itself will hit the same error and report it

    def _holder(self) -> Holder | None:
        try:
            return Holder(**json.loads(self._store.read(FILE)))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):  # not one of our leases: nobody holds it
            return None

    def _refusal(self, other: Holder) -> RequestError:
        return RequestError(
            f"{self._store} is already being built by process {other.pid} on {other.host}, since {other.since}; "
            f"wait for it, or stop it first."
        )


def _is_gone(holder: Holder) -> bool:
    """Whether the holder's process on this host has ended."""
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
