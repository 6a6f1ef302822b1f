"""Whether memory stays constant with the size of the input: planning many dialogues, and building many short ones.

    python tests/benchmarks/build_memory.py plan [--dialogues 20000 200000]
    python tests/benchmarks/build_memory.py build [--dialogues 2000 20000] [--workers 2]

Prints the peak for each number of dialogues and the ratio of the last to the first. `plan` measures the driver's
resident memory; `build` measures the driver, the workers and Ray's own processes together, with each page counted once
(proportional set size).
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

SUBJECTS = "the weather|my train|this recipe|our garden|that film|her garden|a long walk|the old bridge|some music|an early start"
VERBS = "reminds me of|was better than|comes after|looks nothing like|sounds close to|is worth more than"


def write_dialogues(path: Path, number: int) -> None:
    """Write short dialogues of two turns, all different."""
    draw, subjects, verbs = random.Random(0), SUBJECTS.split("|"), VERBS.split("|")
    with path.open("w") as file:
        for n in range(number):
            words = " ".join(draw.choice("bdfgklmnprstvz") + draw.choice("aeiou") for _ in range(4))
            sentence = f"{draw.choice(subjects)} {draw.choice(verbs)} {draw.choice(subjects)}"
            turns = [
                {"role": "user", "content": f"Is {words} {n % 97}?"},
                {"role": "assistant", "content": f"{sentence}."},
            ]
            file.write(json.dumps({"id": f"d{n}", "messages": turns}) + "\n")


PLANNING = """
import resource, sys
from manifests.progress import silent
from manifests.store import Store
from pipeline.building.plan import make_plan
from pipeline.recipe import load_recipe
plan = make_plan([sys.argv[1]], load_recipe(), None, Store(sys.argv[2]), silent, lambda: None)
print(plan.read, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def planned(number: int, folder: Path) -> int:
    write_dialogues(folder / "in.jsonl", number)
    command = [sys.executable, "-c", PLANNING, str(folder / "in.jsonl"), str(folder / "out")]
    dialogues, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert int(dialogues) == number, dialogues
    return int(peak)


def built(number: int, folder: Path, workers: int) -> int:
    write_dialogues(folder / "in.jsonl", number)
    command = [
        sys.executable,
        "-m",
        "pipeline.cli",
        "build",
        str(folder / "in.jsonl"),
        "--out",
        str(folder / "out"),
        "--json",
    ]
    process = subprocess.Popen([*command, "--workers", str(workers)], stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, whole_family(process.pid))
        time.sleep(1)
    assert process.returncode == 0
    return peak


def whole_family(pid: int) -> int:
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in family:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("plan", "build"))
    parser.add_argument("--dialogues", type=int, nargs="+")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    numbers = given.dialogues or ([20_000, 200_000] if given.what == "plan" else [2_000, 20_000])
    peaks = []
    for number in numbers:
        with tempfile.TemporaryDirectory() as name:
            started = time.perf_counter()
            peaks.append(
                planned(number, Path(name)) if given.what == "plan" else built(number, Path(name), given.workers)
            )
            took = time.perf_counter() - started
        print(f"{number:>8} dialogues: peak {peaks[-1] / 2**20:7.0f} MiB, {took:6.0f} s", flush=True)
    print(f"ratio {peaks[-1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
