"""The GPU benchmark runs the same steps on a CPU, at a small size."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks/gpu.py"


def test_every_part_gives_its_figures(tmp_path):
    out = tmp_path / "gpu.json"
    command = [sys.executable, str(SCRIPT), "--out", str(out), "--shapes", "small"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found = json.loads(out.read_text())
    assert found["peak_tflops"] > 0
    parts = found["small"]
    assert {"trainer", "loop", "loader", "session"} <= parts.keys()
    assert not any("failed" in parts[name] for name in ("trainer", "loop", "loader", "session")), result.stderr
    assert all(parts[name]["frames_per_s"] > 0 for name in ("trainer", "loop", "loader"))
    assert parts["trainer"]["tenth_step_s"] >= parts["trainer"]["first_step_s"] > 0
    assert all(parts["session"][number]["p99_ms"] > 0 for number in ("1", "2"))
    assert "frames_per_s" in result.stdout
