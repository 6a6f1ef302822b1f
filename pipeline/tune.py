"""`salm-duplex tune`: when a run's agent should start and stop speaking, found on dialogues held out from training.

Every point of a small grid is played in full, frame by frame, with the agent hearing its own words: probabilities
computed once with the reference agent's channel would be those of an agent that has already been given the
reference's answer. Two things make this affordable: audio is not decoded, since turns are seen on the text channel;
and thresholds are found one after the other, first `start` with `memory`, then `stop` at the best of these, so that
points add up rather than multiply."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lhotse import MonoCut

from manifests.errors import RequestError, WorkError
from manifests.files import write_whole
from manifests.progress import Progress
from pipeline.evaluate import CLOSED, OPEN, TestSet, open_sets, playing
from salm_duplex_model.checkpoint import forget_turn_taking, load_run, newest, read_config, write_turn_taking
from salm_duplex_model.codec.nemo import AnyCodec, load_codec
from salm_duplex_model.evaluation import bootstrap
from salm_duplex_model.evaluation.activity import text_turns
from salm_duplex_model.evaluation.bootstrap import Figure
from salm_duplex_model.evaluation.frontier import write_frontier
from salm_duplex_model.evaluation.metrics import BEHAVIOR
from salm_duplex_model.evaluation.play import batches, written
from salm_duplex_model.evaluation.timeline import scene_of
from salm_duplex_model.model import DuplexModel
from salm_duplex_model.session import Decoding
from salm_duplex_model.tokenizer import TextTokenizer
from salm_duplex_model.turn_taking import TurnTaking

START_COST: Mapping[str, float] = {
    "turn_taken_rate": -1.0,
    "pause_take_over_rate": 1.0,
    "false_alarm_rate": 1.0,
    "unprompted_starts_per_min": 0.2,
    "first_response_latency_s": 0.1,
}
"""Weights of the figures in a start threshold's cost: a second of delay is as bad as taking over a tenth of the
pauses."""
STOP_COST: Mapping[str, float] = {
    "barge_in_success_rate": -1.0,
    "false_stop_rate": 1.0,
    "chance_stop_rate": 1.0,
    "turn_ended_rate": -1.0,
    "barge_in_latency_s": 0.1,
}
SHOWN = (*START_COST, *STOP_COST, "barge_in_met_rate", "interruption_taken_rate")


@dataclass(frozen=True, slots=True)
class Grid:
    """The thresholds to try, by default none above 1: training never shows a state in which BOS or EOS is held back although
    its summed probability exceeds 1, so a model's behavior then varies from voice to voice (the bundled agent at 1.5
    took 87 % of turns in validation, 29–40 % with the test voices)."""

    starts: Sequence[float] = (0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 1.0)
    stops: Sequence[float] = (0.2, 0.35, 0.5, 0.75, 1.0)
    memories: Sequence[float] = (0.85,)


@dataclass(frozen=True, slots=True)
class Request:
    """What to tune, and on which dialogues."""

    run: Path
    corpora: Sequence[str]
    split: str = "validation"
    limit: int | None = None
    batch: int = 16
    temperature: float = 0.0
    code_temperature: float = 0.8
    seed: int = 0
    grid: Grid = Grid()
    closed_loop: bool = False
    """The user reacts to the agent instead of speaking as recorded."""


@dataclass(frozen=True, slots=True)
class Point:
    """A turn-taking setting (None: the most likely token) and the agent's figures with it."""

    turn_taking: TurnTaking | None
    figures: Mapping[str, Figure]

    @property
    def cost(self) -> float:
        return self.start_cost + self.stop_cost

    @property
    def start_cost(self) -> float:
        return self._cost(START_COST)

    @property
    def stop_cost(self) -> float:
        return self._cost(STOP_COST)

    def beats(self, other: "Point") -> bool:
        """Whether it costs less. Cheaper starts are enough: an agent that hardly ever speaks is hardly ever interrupted,
        so its few stops may cost nothing."""
        return self.start_cost < other.start_cost or self.cost < other.cost

    def _cost(self, weights: Mapping[str, float]) -> float:
        """Figures without events do not contribute."""
        values = {name: self.figures[name].value for name in weights}
        return sum(weights[name] * value for name, value in values.items() if value is not None)

    def as_dict(self) -> dict[str, Any]:
        point = None if self.turn_taking is None else self.turn_taking.as_dict()
        costs = {"start_cost": round(self.start_cost, 6), "stop_cost": round(self.stop_cost, 6)}
        return {"turn_taking": point, **costs} | {name: one.as_dict() for name, one in self.figures.items()}


class Player:
    """Plays dialogues to a run's agent, `batch` at once, for one point after another."""

    def __init__(
        self,
        model: DuplexModel,
        tokenizer: TextTokenizer,
        codec: AnyCodec,
        sets: Sequence[TestSet],
        batch: int,
        closed_loop: bool,
    ) -> None:
        self._model, self._tokenizer, self._codec, self._sets = model, tokenizer, codec, sets
        self._batch, self._closed_loop = batch, closed_loop

    def play(self, decoding: Decoding) -> Point:
        cuts = [(cut, one) for one in self._sets for cut in one.cuts]
        owners = {id(cut): one for cut, one in cuts}
        samples: list[tuple[str, dict[str, list[float]]]] = []
        for some in batches([cut for cut, _ in cuts], self._batch):
            with playing(owners[id(some[0])]):
                samples += self._samples(some, decoding)
        samples.sort(key=lambda one: one[0])
        figures = {name: bootstrap.mean([own[name] for _, own in samples]) for name in SHOWN}
        return Point(decoding.turn_taking, figures)

    def _samples(self, cuts: Sequence[MonoCut], decoding: Decoding) -> Iterator[tuple[str, dict[str, list[float]]]]:
        for cut, tokens in written(self._model, self._codec, cuts, decoding, closed_loop=self._closed_loop):
            turns = text_turns(tokens, self._tokenizer.special, self._tokenizer.decode)
            scene = scene_of(cut)
            yield cut.id, {name: BEHAVIOR[name](scene, turns) for name in SHOWN}


def tune(request: Request, progress: Progress) -> dict[str, Any]:
    """Choose a run's turn taking and store it next to its newest weights; write RUN/turn_taking.json and .png;
    returns the content of the JSON file.

    If no point costs less than the most likely token, none is stored. Raises `RequestError` before any work if
    something named can't be used, or if the dialogues have no turn to take.
    """
    sets = open_sets(request.corpora, request.split, request.limit)
    model, tokenizer = load_run(request.run)
    _check_writable(request.run)
    codec = load_codec(read_config(request.run).codec)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    player = Player(model, tokenizer, codec, sets, request.batch, request.closed_loop)
    grid, done = request.grid, 0
    total = 1 + len(grid.starts) * len(grid.memories) + len(grid.stops)

    def played(turn_taking: TurnTaking | None) -> Point:
        nonlocal done
        progress(done, total, "most likely token" if turn_taking is None else str(turn_taking))
        done += 1
        return player.play(Decoding(request.temperature, request.code_temperature, request.seed, turn_taking))

    likeliest = played(None)
    if likeliest.figures["turn_taken_rate"].n == 0:
        raise RequestError(
            f"The split '{request.split}' of {', '.join(request.corpora)} has no user turn with an answer; name other corpora."
        )
    starting = [played(TurnTaking(start=start, memory=memory)) for memory in grid.memories for start in grid.starts]
    best = min(starting, key=lambda point: point.start_cost)
    assert best.turn_taking is not None
    stopping = [played(replace(best.turn_taking, stop=stop)) for stop in grid.stops]
    found = min(stopping, key=lambda point: point.stop_cost)
    chosen = found if found.beats(likeliest) else likeliest
    progress(total, total, "done")

    result = {
        "about": _about(request, sets, likeliest),
        "chosen": chosen.as_dict(),
        "likeliest": likeliest.as_dict(),
        "start": [point.as_dict() for point in starting],
        "stop": [point.as_dict() for point in stopping],
    }
    try:
        write_whole(request.run / "turn_taking.json", (json.dumps(result, indent=1) + "\n").encode())
        write_frontier(result, request.run / "turn_taking.png")
        if chosen.turn_taking is None:
            forget_turn_taking(request.run)
        else:
            write_turn_taking(request.run, chosen.turn_taking)
    except OSError as error:
        raise WorkError(f"{request.run} can't be written: {error.strerror or error}.") from error
    return result


def _check_writable(run: Path) -> None:
    try:
        for folder in (run, newest(run)):
            write_whole(folder / ".tune", b"")
            (folder / ".tune").unlink()
    except OSError as error:
        raise RequestError(
            f"{run} can't be written: {error.strerror or error}; `salm-duplex slim {run} --out COPY` makes a writable copy."
        ) from None


def _about(request: Request, sets: Sequence[TestSet], likeliest: Point) -> dict[str, Any]:
    return {
        "step": int(newest(request.run).name),
        "split": request.split,
        "dialogues": {one.name: len(one.cuts) for one in sets},
        "decoding": {
            "temperature": request.temperature,
            "code_temperature": request.code_temperature,
            "seed": request.seed,
            "batch": request.batch,
        },
        "loop": f"{CLOSED if request.closed_loop else OPEN}; the agent hears its own words; turns are read from the text channel",
        "start_cost": dict(START_COST),
        "stop_cost": dict(STOP_COST),
        "unmeasured": [name for name, found in likeliest.figures.items() if found.n == 0],
        "interval": f"95 % of {bootstrap.DRAWS} bootstrap draws over dialogues, seed {bootstrap.SEED}",
    }
