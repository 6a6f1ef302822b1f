"""Full-Duplex-Bench's own scripts on the output of `salm-duplex evaluate --fdb DIR`, compared with the `fdb_*` figures
of its FILE.json.

    git clone https://github.com/DanielLin94144/Full-Duplex-Bench
    salm-duplex evaluate RUN --corpus … --out FILE.json --fdb DIR
    PYTHONPATH=. python tests/benchmarks/full_duplex_bench.py Full-Duplex-Bench FILE.json DIR

Needs `tqdm`, and for the backchannel task `silero-vad`, `torchaudio` and `scipy`. The scripts run unchanged, except
that no LLM rates answers, audio is read with soundfile, and the histograms of human backchannels are flat (they are
only used for a divergence that is not compared here). Checked at commit d7336bd of 2026-04-15; its code is CC BY-NC
4.0, so none of it is included here.
"""

import argparse
import contextlib
import importlib
import io
import json
import re
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

TASKS = {
    "pause_handling": ("eval_pause_handling", "fdb_pause"),
    "smooth_turn_taking": ("eval_smooth_turn_taking", "fdb_turn"),
    "user_interruption": ("eval_user_interruption", "fdb_interruption"),
    "backchannel": ("eval_backchannel", "fdb_backchannel"),
}
PRINTED = {
    "tor": r"(?:Average take turn:|TOR - Mean:)\s+([\d.]+)",
    "latency_s": r"Average latency:\s+([\d.]+)",
    "freq": r"Frequency - Mean:\s+([\d.]+)",
}
RATING = "Analysis: none.\nI would rate the AI's response as 5.\n"


def main(checkout: Path, result: Path, folder: Path) -> None:
    sys.path.insert(0, str((checkout / "v1_v1.5" / "evaluation").resolve()))
    sets = json.loads(result.read_text())["sets"]
    print(f"{'set':24}{'task':20}{'figure':11}{'n':>5}{'theirs':>9}{'ours':>9}")
    for name, own in sets.items():
        for task, (script, figure) in TASKS.items():
            examples = (folder / name / task).resolve()
            if not examples.is_dir():
                continue
            theirs = scored(script, examples)
            for kind in PRINTED:
                ours = own.get(f"{figure}_{kind}")
                if ours is not None:
                    cells = "".join(
                        f"{'–' if v is None else format(v, '.3f'):>9}" for v in (theirs[kind], ours["value"])
                    )
                    print(f"{name:24}{task:20}{kind:11}{ours['n']:5}{cells}")


def scored(script: str, examples: Path) -> dict[str, float | None]:
    """The figures that a script of the benchmark prints for a folder of examples; None for figures without events."""
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place), contextlib.redirect_stdout(said):
        flat = {one.name: [1.0] * 10 for one in examples.iterdir()}
        Path("icc_gt_distribution.json").write_text(json.dumps(flat))
        evaluate = getattr(imported(script), script)
        arguments = [examples, client()] if script == "eval_user_interruption" else [examples]
        try:
            evaluate(*arguments)
        except ZeroDivisionError:  # the mean latency without any take-over, before anything is printed
            return dict.fromkeys(PRINTED, None) | {"tor": 0.0}
    found = {kind: re.search(pattern, said.getvalue()) for kind, pattern in PRINTED.items()}
    return {kind: float(match[1]) if match else None for kind, match in found.items()}


def imported(script: str) -> Any:
    if script == "eval_backchannel":
        import soundfile
        import torch
        import torchaudio

        def load(path: str) -> tuple[torch.Tensor, int]:
            samples, rate = soundfile.read(path, dtype="float32")
            return torch.from_numpy(samples)[None], rate

        torchaudio.load = load
    return importlib.import_module(script)


def client() -> Any:
    """A stand-in for the LLM that rates answers."""
    answer = SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content=RATING))])
    return SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=lambda **_: answer)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    main(arguments.checkout, arguments.result, arguments.folder)
