"""Faults that a build survives: lost nodes, heads, drivers and workers, a full disk, Ctrl-C. Run by name:

    pytest -n 0 -v tests/benchmarks/build_faults.py

Several raylets stand for several machines: two with cores, which synthesize, and one with a declared GPU, which
tokenizes. After each fault, the finished corpus equals that of an undisturbed build byte for byte, nothing finished is
built twice, and the run log says what happened. The full disk is a small tmpfs, which needs root.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from ray.cluster_utils import Cluster

BUNDLED = Path(__file__).parents[2] / "pipeline" / "data" / "dialogues.jsonl"
SETTINGS = ("pack.shard_size=2", "ingest.test=0.15", "ingest.validation=0.15", "tokenize.resources.gpus=1")
LIMIT = 24


def start(out: Path, address: str | None, *more: str) -> subprocess.Popen:
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    arguments = ["build", BUNDLED, "--out", out, "--limit", LIMIT, *settings, *more]
    environment = os.environ | ({"RAY_ADDRESS": address} if address else {})
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", *map(str, arguments)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(process: subprocess.Popen, code: int | None = 0) -> str:
    _, stderr = process.communicate(timeout=560)
    assert code is None or process.returncode == code, stderr
    return stderr


def tree(corpus: Path) -> dict[str, bytes]:
    files = {str(p.relative_to(corpus)): p.read_bytes() for p in sorted(corpus.rglob("*")) if p.is_file()}
    info = json.loads(files["corpus.json"])
    del info["run_log"]
    return files | {"corpus.json": json.dumps(info).encode()}


def log(corpus: Path) -> list[dict]:
    return json.loads((corpus / "corpus.json").read_text())["run_log"]


def finished(out: Path) -> dict[str, int]:
    done = out / ".build" / "done"
    return {p.name: p.stat().st_mtime_ns for p in done.iterdir() if p.suffix == ".json"} if done.is_dir() else {}


def wait_for(shards: int, out: Path, process: subprocess.Popen) -> None:
    while len(finished(out)) < shards:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)


@contextmanager
def machines() -> Iterator[tuple[Cluster, list]]:
    """A head that does no work, two machines with one core each, and one with a declared GPU."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        nodes = [cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1, num_gpus=1)]
        cluster.wait_for_nodes()
        yield cluster, nodes
    finally:
        cluster.shutdown()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("undisturbed") / "corpus"
    with machines() as (cluster, _):
        ended(start(out, cluster.address))
    assert "begun_more_than_once" in log(out)[-1] and not log(out)[-1]["begun_more_than_once"]
    return tree(out)


def test_a_machine_lost_in_mid_build_costs_only_its_current_work(undisturbed, tmp_path):
    out = tmp_path / "corpus"
    with machines() as (cluster, nodes):
        process = start(out, cluster.address)
        wait_for(1, out, process)
        cluster.remove_node(nodes[0], allow_graceful=False)
        cluster.add_node(num_cpus=1)
        ended(process)
    assert tree(out) == undisturbed
    assert log(out)[-1]["begun_more_than_once"]


def test_the_gpu_machine_lost_and_replaced(undisturbed, tmp_path):
    out = tmp_path / "corpus"
    with machines() as (cluster, nodes):
        process = start(out, cluster.address)
        wait_for(2, out, process)
        cluster.remove_node(nodes[2], allow_graceful=False)
        cluster.add_node(num_cpus=1, num_gpus=1)
        ended(process)
    assert tree(out) == undisturbed


def test_the_head_lost_and_the_job_submitted_again(undisturbed, tmp_path):
    out = tmp_path / "corpus"
    with machines() as (cluster, _):
        process = start(out, cluster.address)
        wait_for(2, out, process)
        before = finished(out)
    stderr = ended(process, code=None)
    assert process.returncode == 1, stderr
    assert "Traceback" not in stderr
    with machines() as (cluster, _):
        again = start(out, cluster.address)
        kept = finished(out)
        ended(again)
    assert {name: kept[name] for name in before} == before  # nothing twice
    assert tree(out) == undisturbed
    assert len(log(out)) == 2 and log(out)[-1]["shards_found"] >= len(before)


def killed_driver(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)


def interrupted(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGINT)


@pytest.mark.parametrize("stop", [killed_driver, interrupted])
def test_a_stopped_driver_and_the_same_command_again(undisturbed, tmp_path, stop: Callable):
    out = tmp_path / "corpus"
    with machines() as (cluster, _):
        process = start(out, cluster.address)
        wait_for(3, out, process)
        stop(process)
        stderr = ended(process, code=None)
        assert "Traceback" not in stderr
        before = finished(out)
        ended(start(out, cluster.address))
    assert tree(out) == undisturbed
    runs = log(out)
    assert len(runs) == 2 and runs[-1]["shards_found"] >= len(before)
    assert ("how" in runs[0]) == (stop is interrupted)


def test_workers_killed_as_if_out_of_memory(undisturbed, tmp_path):
    out = tmp_path / "corpus"
    with machines() as (cluster, _):
        process = start(out, cluster.address)
        wait_for(2, out, process)
        workers = [p for p in psutil.process_iter(["cmdline"]) if "ShardWorker" in " ".join(p.info["cmdline"] or [])]
        assert workers
        for worker in workers:  # one of them at least is at work
            worker.kill()
        ended(process)
    assert tree(out) == undisturbed
    assert log(out)[-1]["begun_more_than_once"]


def test_a_full_disk_and_the_same_command_with_room(undisturbed, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(small)], check=True)
    try:
        with machines() as (cluster, _):
            stderr = ended(start(small / "corpus", cluster.address), code=1)
            assert "No space left on device" in stderr and "Traceback" not in stderr
            assert not (small / "corpus" / "corpus.json").exists()
            subprocess.run(["mount", "-o", "remount,size=200m", str(small)], check=True)
            ended(start(small / "corpus", cluster.address))
        assert tree(small / "corpus") == undisturbed
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
