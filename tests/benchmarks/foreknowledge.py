"""What the text of cut-off turns teaches: two agents, trained alike on the same dialogues, one by the old rule and one by today's.

    PYTHONPATH=. python tests/benchmarks/foreknowledge.py [INPUT...] --out DIR [--dialogues 1152] [--steps 3000]

By the old rule, the text of a turn that is cut off ends with the last word heard: seconds before the user starts, it tells that the
user will. Both are trained with the preset `tiny` on a corpus with backchannels and barge-ins, and play the same scenes, in which
neither has heard a dialogue or a voice. Every part is a command of the product, and what is finished is not done again: after an
interruption, the same line resumes. Two hours on two cores. Prints a table, and writes `DIR/foreknowledge.json`.
"""

import argparse
import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

BUNDLED = Path(__file__).parents[2] / "pipeline" / "data" / "dialogues.jsonl"
SCENES = ("plain", "interruption", "repeated_interruption", "backchannels")
SHOWN = (
    "turn_taken_rate",
    "first_response_latency_s",
    "interruption_taken_rate",
    "barge_in_success_rate",
    "barge_in_latency_s",
    "false_alarm_rate",
    "false_stop_rate",
    "chance_stop_rate",
)


def run(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "pipeline.cli", *map(str, arguments)], check=True)


def by_the_old_rule(corpus: Path, out: Path) -> None:
    """A copy of a corpus in which a cut-off turn has no more text than is heard of it."""
    if (out / "corpus.json").exists():
        return
    shutil.rmtree(out, ignore_errors=True)
    unfinished = out.with_name(f"{out.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(corpus, unfinished)
    for path in unfinished.glob("*/cuts.*.jsonl.gz"):
        cuts = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        for turn in (turn for cut in cuts for turn in cut["supervisions"]):
            turn["text"] = turn["custom"]["text_full"] = turn["custom"]["text_heard"]
        path.write_bytes(gzip.compress("".join(json.dumps(cut) + "\n" for cut in cuts).encode()))
    unfinished.rename(out)


def main(inputs: list[str], out: Path, dialogues: int, steps: int, takes: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    given = [*inputs, "--limit", dialogues] if inputs else [BUNDLED, "--set", f"ingest.takes={dialogues // 72}"]
    run("build", *given, "--recipe", "quick_and_patient", "--set", "ingest.test=0.1", "--out", out / "today")
    by_the_old_rule(out / "today", out / "old")
    scenes = [option for name in SCENES for option in ("--only", name)]
    run("scenes", out / "today", "--out", out / "scenes", *scenes, "--takes", takes)
    figures: dict[str, dict] = {}
    for rule in ("old", "today"):
        trained = out / f"{rule}_run"
        run("train", "--corpus", out / rule, "--out", trained, "--preset", "tiny", "--set", f"optimizer.steps={steps}")
        found = out / f"{rule}.json"
        if not found.exists():
            corpora = [option for name in SCENES for option in ("--corpus", out / "scenes" / name)]
            run("evaluate", trained, *corpora, "--batch", 40, "--out", found)
        for scene, measured in json.loads(found.read_text())["sets"].items():
            figures.setdefault(scene, {})[rule] = measured
    (out / "foreknowledge.json").write_text(json.dumps(figures, indent=1))
    for scene, rules in figures.items():
        print(f"\n{scene:<28} {'old rule':>28} {'today':>28}")
        for name in SHOWN:
            print(f"{name:<28} " + " ".join(f"{_shown(rules[rule].get(name)):>28}" for rule in ("old", "today")))


def _shown(figure: dict | None) -> str:
    if not figure or figure["value"] is None:
        return "-"
    interval = " [{:.3f}, {:.3f}]".format(*figure["ci95"]) if figure["ci95"] else ""
    return f"{figure['value']:.3f}{interval} n={figure['n']}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dialogues", type=int, default=1_152)
    parser.add_argument("--steps", type=int, default=3_000)
    parser.add_argument("--takes", type=int, default=8)
    arguments = parser.parse_args()
    main(arguments.inputs, arguments.out, arguments.dialogues, arguments.steps, arguments.takes)
