"""One build at a time in one place: the second is rejected with the first one's name, and takes over once the first is
gone."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from manifests.errors import RequestError, WorkError
from manifests.store import Store
from pipeline.building.lease import FILE, Lease

HOLD = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from manifests.store import Store
from pipeline.building.lease import Lease
with Lease(Store(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(tmp_path / "corpus" if request.param == "local" else request.getfixturevalue("s3") + "/corpus")


@pytest.fixture
def holder(store: Store):
    """A living process that holds the lease."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, store.url], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def seen_from_elsewhere(store: Store, **changes: object) -> None:
    """Make the lease one of another machine."""
    store.write(FILE, json.dumps(json.loads(store.read(FILE)) | {"host": "elsewhere"} | changes).encode())


def test_a_second_build_is_rejected_by_name_of_the_first(store: Store, holder: subprocess.Popen) -> None:
    with (
        pytest.raises(RequestError, match=f"{store.url} is already being built by process {holder.pid} on .*, since "),
        Lease(store),
    ):
        pass


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_lease_is_taken_over_once_its_holder_is_gone(store: Store, holder: subprocess.Popen, ending: int) -> None:
    holder.send_signal(ending)
    holder.wait()
    assert store.exists(FILE) == (ending == signal.SIGKILL)
    with Lease(store) as lease:
        assert json.loads(store.read(FILE))["pid"] == os.getpid()
        lease.check()
    assert not store.exists(FILE)


def test_another_machines_build_without_heartbeat_is_taken_over(store: Store) -> None:
    with Lease(store, beat_s=600):
        seen_from_elsewhere(store, token="other")
        with Lease(store, beat_s=0.5, stale_s=2) as second:
            assert json.loads(store.read(FILE))["pid"] == os.getpid() and not second.lost


def test_another_machines_build_with_heartbeat_is_not(store: Store) -> None:
    with Lease(store, beat_s=600):
        seen_from_elsewhere(store, token="other")
        later = threading.Timer(1, seen_from_elsewhere, (store,), {"token": "other", "beat": 1})
        later.start()
        with (
            pytest.raises(RequestError, match=r"is already being built by process .* on elsewhere"),
            Lease(store, 0.5, 30),
        ):
            pass
        later.join()


def test_a_build_that_lost_its_lease_notices(store: Store) -> None:
    with Lease(store, beat_s=0.2) as lease:
        seen_from_elsewhere(store, token="other")
        for _ in range(300):
            if lease.lost:
                break
            time.sleep(0.1)
        with pytest.raises(WorkError, match="Another build took over"):
            lease.check()
    assert json.loads(store.read(FILE))["token"] == "other"  # which is not this one's to remove
