"""`ray job submit` of a build to a real local cluster, as a data engineer would do it."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture
def cluster(tmp_path):
    """Our own head node, with its ports, temporary folder and token; stopped by ending the processes we started."""
    port, dashboard = free_port(), free_port()
    environment = os.environ | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "RAY_USAGE_STATS_ENABLED": "0",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    short = Path("/tmp") / f"ray-test-{os.getpid()}"  # a socket's path may not be long
    arguments = ["start", "--head", "--block", f"--port={port}", f"--dashboard-port={dashboard}", "--num-cpus=2"]
    arguments += ["--dashboard-host=127.0.0.1", "--node-ip-address=127.0.0.1", f"--temp-dir={short}"]
    arguments += ["--dashboard-agent-listen-port=0"]  # another cluster on this machine may hold the default one
    log = (tmp_path / "ray.log").open("w")
    head = subprocess.Popen([BIN / "ray", *arguments], env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield environment | {"RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}"}
    finally:
        os.killpg(head.pid, signal.SIGTERM)
        try:
            head.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(head.pid, signal.SIGKILL)
            head.wait()


def wait_for_api(environment: dict[str, str]) -> None:
    for _ in range(60):
        listed = subprocess.run([BIN / "ray", "job", "list"], env=environment, capture_output=True, text=True)
        if listed.returncode == 0:
            return
        time.sleep(1)
    pytest.fail(f"the cluster's job server did not come up: {listed.stderr[-500:]}")


def test_a_submitted_job_builds_the_corpus(cluster, tmp_path):
    wait_for_api(cluster)
    out = tmp_path / "corpus"
    build = ["salm-duplex", "build", "pipeline/data/dialogues.jsonl", "--out", str(out), "--limit", "6"]
    submit = [BIN / "ray", "job", "submit", "--working-dir", ".", "--", *build, "--set", "pack.shard_size=2"]
    for _ in range(60):
        result = subprocess.run(submit, cwd=ROOT, env=cluster, capture_output=True, text=True)
        if "No available agent to submit job" not in result.stdout + result.stderr:  # it comes up after the job server
            break
        time.sleep(1)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    statistics = json.loads((out / "corpus.json").read_text())["statistics"]
    assert sum(statistics["dialogues"].values()) + statistics["rejected"] == 6
