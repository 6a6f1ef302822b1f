"""The estimates of `build --dry-run` compared with the actual build: seconds, hours of dialogue and bytes, as ratios.

    python tests/benchmarks/plan_accuracy.py [INPUT...] [--dialogues 200 2000 10000] [--workers 2]

Without an input, the bundled dialogues are repeated as often as necessary. Run it on an otherwise idle machine.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BUNDLED = Path(__file__).parents[2] / "pipeline" / "data" / "dialogues.jsonl"


def run(arguments: list[str]) -> dict:
    command = [sys.executable, "-m", "pipeline.cli", "build", *arguments, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*")
    parser.add_argument("--dialogues", type=int, nargs="+", default=[200, 2_000, 10_000])
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    print(f"{'dialogues':>10} {'planned s':>10} {'real s':>10} {'time':>7} {'hours':>7} {'bytes':>7}   planned ÷ real")
    for number in given.dialogues:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "corpus"
            arguments = [*given.inputs, "--limit", str(number)]
            if not given.inputs:
                written = sum(1 for _ in BUNDLED.open())
                arguments = [str(BUNDLED), "--set", f"ingest.takes={-(-number // written)}"]
            arguments += ["--out", str(out), "--workers", str(given.workers)]
            planned = run([*arguments, "--dry-run"])["estimate"]
            started = time.perf_counter()
            statistics = run(arguments)
            took = time.perf_counter() - started
            shards = [path for split in ("train", "validation", "test") for path in (out / split).glob("*")]
            ratios = (
                planned["seconds"] / took,
                planned["hours"] / statistics["hours"],
                planned["disk_bytes"] / sum(path.stat().st_size for path in shards),
            )
            built = sum(statistics["dialogues"].values())
            print(
                f"{built:>10} {planned['seconds']:>10.0f} {took:>10.0f} " + " ".join(f"{r:>7.2f}" for r in ratios),
                flush=True,
            )


if __name__ == "__main__":
    main()
