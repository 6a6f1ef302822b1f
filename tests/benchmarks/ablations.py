"""What each part of a corpus, of the decoder and of the training is worth: agents that differ in one thing each, on the same scenes.

    PYTHONPATH=. python tests/benchmarks/ablations.py [INPUT...] --out DIR [--unseen INPUT] [--only ARM] [--scene SCENE] [--limit 110]

Every arm trains the preset `tiny` on a corpus from the same dialogues, by default the bundled ones, and plays the same scenes, with
dialogues and voices that no arm has heard: held out, or from the other dialogues given as --unseen. The loop is closed, in calibration
too: arms differ in when and how long they speak, and a user who ignored that would barge in on silence. Every part is a command of the
product, and a finished part is not repeated: after an interruption, the same line resumes. With --only and --scene, the others are
shown as far as they are finished. Prints a table, and writes it to `DIR/ablations.md`, and every figure of every scene to
`DIR/ablations.json`. --at-once arms run side by side, each on one core. All arms in all scenes take an estimated five to six
hours on two idle cores.
"""

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from salm_duplex_model.checkpoint import BUNDLED_RUN

DATA = Path(__file__).parents[2] / "pipeline" / "data"
BUNDLED = (str(DATA / "dialogues.jsonl"), str(DATA / "conversations.jsonl"))

CUT_OFF = "schedule.barge_in.cut_off_s=0.8"
"""As in the published table; the recipe has had a shorter one since."""

EVENTS = (
    "speak.agent_backchannel={share: 0.3, turn_share: 0.3}",
    "speak.false_start={share: 0.4}",
    "speak.side_talk={share: 0.4}",
    "speak.filler.per_minute=4",
    "speak.reprompt={share: 0.3}",
    "speak.hold={share: 0.4, turn_share: 0.3}",
    "schedule.barge_in.early=0.3",
    "schedule.barge_in.late=0.3",
    "schedule.barge_in.again=0.3",
)
CORPORA: dict[str, tuple[str, ...]] = {
    "quick": ("schedule.agent_tail.share=0",),
    "no_backchannels": ("speak.backchannel.share=0",),
    "no_pauses": ("schedule.pause.share=0",),
    "tail": (),
    "events": EVENTS,
    "takes": (*EVENTS, "ingest.takes=6"),
}
"""What each sets in the recipe `quick_and_patient`. `old_rule` is made from `quick`."""


@dataclass(frozen=True, slots=True)
class Arm:
    """An agent: what it differs in, the corpus and settings that it is trained with, and how it decides when to speak."""

    about: str
    corpus: str
    training: tuple[str, ...] = ()
    tuned: bool = True
    """Whether it sums probabilities, with thresholds calibrated on the validation split; else the likeliest token decides."""
    run: str | None = None
    """Another arm's run, decoded in another way."""


ARMS = {
    "bundled": Arm("the agent that comes with the package, as it is", ""),
    "old_rule": Arm("text of cut-off turns ends with the last word heard", "old_rule", tuned=False),
    "whole_text": Arm("text of cut-off turns reveals no cut", "quick", tuned=False),
    "sums": Arm("whole_text, probabilities summed", "quick", run="whole_text"),
    "tail": Arm("sums, agent gap with a tail", "tail"),
    "no_backchannels": Arm("tail, no backchannels in the corpus", "no_backchannels"),
    "no_pauses": Arm("tail, no pauses inside user turns", "no_pauses"),
    "events": Arm("tail, every kind of event in the corpus", "events"),
    "takes": Arm("events, six takes of each dialogue instead of two, as many steps", "takes"),
    "auxiliary": Arm("events, auxiliary losses on the encoder's output", "events", ("loss.auxiliary_weight=5",)),
    "encoder_first": Arm(
        "auxiliary, the encoder alone for the first 300 steps",
        "events",
        ("loss.auxiliary_weight=5", "optimizer.encoder_steps=300"),
    ),
    "user_text": Arm("events, the user's text channel", "events", ("model.user_text=true",)),
    "weighted": Arm(
        "events, weights of NeMo's example for VoiceChat",
        "events",
        ("loss.token_weight={pad: 0.2, inside: 0.2, bos: 10}",),
    ),
    "weighted_more": Arm(
        "events, weights of VoiceChat as released",
        "events",
        ("loss.token_weight={bos: 12.5, eos: 7.5, text: 5}",),
    ),
    "augmented": Arm(
        "events, noise and level drawn at load", "events", ("data.augment={level_db: [-12, 6], noise_share: 0.5}",)
    ),
}

SHOWN = {
    "plain": (
        "turn_taken_rate",
        "first_response_latency_s",
        "false_alarm_rate",
        "unprompted_starts_per_min",
        "barge_in_success_rate",
        "chance_stop_rate",
    ),
    "interruption": (
        "barge_in_success_rate",
        "barge_in_latency_s",
        "interruption_taken_rate",
        "script_barge_ins_made_rate",
    ),
    "repeated_interruption": ("barge_in_success_rate", "barge_in_latency_s", "interruption_taken_rate"),
    "pauses": ("pause_take_over_rate", "turn_taken_rate", "first_response_latency_s", "false_alarm_rate"),
    "backchannels": ("false_stop_rate", "chance_stop_rate", "unprompted_starts_per_min", "turn_taken_rate"),
    "fillers": ("pause_take_over_rate", "turn_taken_rate"),
    "agent_backchannels": ("agent_backchannels_per_min", "false_alarm_rate", "turn_taken_rate"),
    "waits": ("barge_in_success_rate", "wait_answer_rate"),
    "late_answers": ("unprompted_starts_per_min", "turn_taken_rate"),
    "false_starts": ("false_stop_rate", "chance_stop_rate"),
    "side_talk": ("side_talk_answer_rate", "turn_taken_rate"),
    "noise": ("unprompted_starts_per_min", "turn_taken_rate"),
    "silence": ("unprompted_starts_per_min",),
    "monologue": ("pause_take_over_rate", "turn_taken_rate"),
}
MORE = {"backchannels": 2}
"""How many times as many held-out dialogues a scene has: a user's "mm-hm" counts only where it meets the agent speaking."""
TUNED_ON = ("plain", "interruption", "pauses", "backchannels")
TUNED_DIALOGUES = 16
"""Of each of these scenes."""


class Ablations:
    """The parts, each of which makes what it needs first and keeps what it has made."""

    def __init__(
        self,
        inputs: list[str],
        unseen: list[str],
        out: Path,
        dialogues: int,
        steps: int,
        takes: int,
        limit: int,
        preset: str = "tiny",
        batch: int = 40,
        settings: Sequence[str] = (),
    ) -> None:
        """`settings` of the preset hold for every arm; `batch` dialogues are played together."""
        self.inputs, self.unseen, self.out = inputs, unseen, out
        self.dialogues, self.steps, self.takes, self.limit = dialogues, steps, takes, limit
        self.preset, self.batch, self.settings = preset, batch, settings

    def corpus(self, name: str) -> Path:
        out = self.out / "corpora" / name
        if (out / "corpus.json").exists():
            return out
        if name == "old_rule":
            by_the_old_rule(self.corpus("quick"), out)
            return out
        inputs = self.unseen if name == "unseen" else self.inputs
        given = inputs or [*BUNDLED, "--set", "ingest.takes=2"]
        changes = [option for change in (CUT_OFF, *CORPORA.get(name, ())) for option in ("--set", change)]
        run("build", *given, "--limit", self.dialogues, "--recipe", "quick_and_patient", "--set", "ingest.test=0.1",
            *changes, "--out", out)  # fmt: skip
        return out

    def scenes(self, split: str, names: Iterable[str]) -> list[str | Path]:
        out = self.out / split
        for name in names:
            if not (out / name / "corpus.json").exists():
                corpus = self.corpus("unseen" if self.unseen else "quick")
                takes = self.takes * (MORE.get(name, 1) if split == "test" else 1)
                run("scenes", corpus, "--out", out, "--split", split, "--only", name, "--takes", takes)
        return [option for name in names for option in ("--corpus", out / name)]

    def trained(self, name: str) -> Path:
        out, arm = self.out / "runs" / name, ARMS[name]
        if (out / "checkpoints" / f"{self.steps:08d}").exists():
            return out
        settings = [option for change in (*self.settings, *arm.training) for option in ("--set", change)]
        run("train", "--corpus", self.corpus(arm.corpus), "--out", out, "--preset", self.preset,
            "--set", f"optimizer.steps={self.steps}", *settings)  # fmt: skip
        return out

    def tuned(self, name: str) -> Path:
        """The arm's run, with thresholds where the arm has them."""
        if name == "bundled":
            return BUNDLED_RUN
        trained = self.trained(ARMS[name].run or name)
        if ARMS[name].tuned and not (trained / "turn_taking.json").exists():
            run(
                "tune", trained, *self.scenes("validation", TUNED_ON), "--closed-loop", "--batch", self.batch,
                "--limit", TUNED_DIALOGUES,
            )  # fmt: skip
        return trained

    def evaluated(self, name: str, scene: str) -> None:
        """Play the scene, unless the arm has figures of it."""
        out = self.out / "figures" / name / f"{scene}.json"
        if scene in self.found().get(name, {}):
            return
        decoding = () if ARMS[name].tuned else ("--turn-taking", "likeliest")
        out.parent.mkdir(parents=True, exist_ok=True)
        run("evaluate", self.tuned(name), *self.scenes("test", [scene]), "--closed-loop", "--batch", self.batch,
            "--limit", self.limit * MORE.get(scene, 1), *decoding, "--out", out)  # fmt: skip

    def side_by_side(self, names: Sequence[str], scenes: Sequence[str], at_once: int) -> None:
        """Evaluate arms, some at once, after the builds that they share, which use every core."""
        needed = [ARMS[name].corpus for name in names if ARMS[name].corpus]
        for corpus in dict.fromkeys(needed):
            self.corpus(corpus)
        self.scenes("test", scenes)
        if any(ARMS[name].tuned and name != "bundled" for name in names):
            self.scenes("validation", TUNED_ON)
        sharing: dict[str, list[str]] = {}
        for name in names:
            sharing.setdefault(ARMS[name].run or name, []).append(name)

        def evaluate(arms: list[str]) -> None:
            for name in arms:
                for scene in scenes:
                    self.evaluated(name, scene)

        with ThreadPoolExecutor(at_once) as together:
            for _ in together.map(evaluate, sharing.values()):
                self.write()

    def found(self) -> dict[str, dict[str, dict]]:
        """Arm → scene → figures, of all that is finished."""
        figures: dict[str, dict[str, dict]] = {}
        for name in ARMS:
            for path in sorted((self.out / "figures" / name).glob("*.json")):
                figures.setdefault(name, {}).update(json.loads(path.read_text())["sets"])
        return figures

    def write(self) -> str:
        """Write the table and every figure; returns the table."""
        found = self.found()
        (self.out / "ablations.json").write_text(json.dumps(found, indent=1))
        shown = table(found)
        (self.out / "ablations.md").write_text(shown)
        return shown


def run(*arguments: str | int | Path) -> None:
    """A command of the product. Two trainings on a core each are faster than one after the other on both."""
    alone = {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "pipeline.cli", *map(str, arguments)], check=True, env=os.environ | alone)


def by_the_old_rule(corpus: Path, out: Path) -> None:
    """A copy of a corpus in which a cut-off turn has no more text than is heard of it, as in the paper's description."""
    unfinished = out.with_name(f"{out.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(corpus, unfinished)
    for path in unfinished.glob("*/cuts.*.jsonl.gz"):
        cuts = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        for turn in (turn for cut in cuts for turn in cut["supervisions"]):
            turn["text"] = turn["custom"]["text_full"] = turn["custom"]["text_heard"]
        path.write_bytes(gzip.compress("".join(json.dumps(cut) + "\n" for cut in cuts).encode()))
    unfinished.rename(out)


def table(found: dict[str, dict[str, dict]]) -> str:
    """Markdown: a section for each scene, with a line for each arm and a column for each figure."""
    lines = [f"* `{name}`: {ARMS[name].about}" for name in found]
    for scene, names in SHOWN.items():
        arms = [name for name, sets in found.items() if scene in sets]
        if arms:
            lines += ["", f"| {scene} | " + " | ".join(names) + " |", "|---" * (1 + len(names)) + "|"]
        for arm in arms:
            cells = " | ".join(_cell(name, found[arm][scene].get(name)) for name in names)
            lines.append(f"| {arm} | {cells} |")
    return "\n".join(lines) + "\n"


def _cell(name: str, figure: dict | None) -> str:
    """The value, its 95 % interval and the number of events."""
    if not figure or figure["value"] is None:
        return "-"
    scale, form = (100, ".1f") if name.endswith("_rate") else (1, ".2f")
    value, *bounds = (format(scale * one, form) for one in (figure["value"], *(figure["ci95"] or ())))
    unit = " %" if scale == 100 else ""
    return f"{value}{unit}" + (f" ({'–'.join(bounds)})" if bounds else "") + f", {figure['n']}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--unseen", action="append", default=[], metavar="INPUT", help="make the scenes from these dialogues"
    )
    parser.add_argument("--only", action="append", choices=ARMS)
    parser.add_argument("--scene", action="append", choices=SHOWN)
    parser.add_argument("--dialogues", type=int, default=2_200, help="at most, in each corpus")
    parser.add_argument("--steps", type=int, default=2_000)
    parser.add_argument(
        "--takes", type=int, default=2, help="of each held-out dialogue in a scene, twice as many in `backchannels`"
    )
    parser.add_argument(
        "--limit", type=int, default=110, help="dialogues played in each scene, twice as many in `backchannels`"
    )
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="arms that run side by side")
    given = parser.parse_args()
    ablations = Ablations(given.inputs, given.unseen, given.out, given.dialogues, given.steps, given.takes, given.limit)
    ablations.side_by_side(given.only or [*ARMS], given.scene or [*SHOWN], given.at_once)
    print(f"\n{ablations.write()}")
