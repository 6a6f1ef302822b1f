"""`salm-duplex tune`: its result is reproducible, and is used by the commands that play the run."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from test_cli import run

from manifests.errors import RequestError
from pipeline.commands.speaking import Speaking
from pipeline.tune import START_COST, STOP_COST, Grid, Point, Request, tune
from salm_duplex_model.checkpoint import read_turn_taking
from salm_duplex_model.evaluation.bootstrap import NOTHING, Figure
from salm_duplex_model.turn_taking import TurnTaking

GRID = Grid(starts=(0.003, 0.006), stops=(0.008,), memories=(0.85,))
"""For random weights, with which a mark has a probability of one in a thousand."""


@pytest.fixture
def own_run(tiny_run, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture
def request_of(own_run, short_corpus):
    def make(**more) -> Request:
        plain = {"run": own_run, "corpora": [short_corpus.url], "split": "train", "limit": 2, "grid": GRID}
        return Request(**(plain | more))

    return make


def quietly(*_: object) -> None:
    pass


def written_by(folder: Path) -> dict[str, bytes]:
    names = ("turn_taking.json", "turn_taking.png", "checkpoints/00000007/turn_taking.yaml")
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}


def test_twice_gives_the_same_bytes_and_the_point_is_used(request_of, own_run):
    told: list[tuple[int, int]] = []
    result = tune(request_of(), lambda done, total, _: told.append((done, total)))
    first = written_by(own_run)
    assert json.loads(first["turn_taking.json"]) == json.loads(json.dumps(result))
    assert len(first["turn_taking.png"]) > 10_000
    assert told == [(done, 4) for done in range(5)]
    tune(request_of(), quietly)
    assert written_by(own_run) == first
    assert [point["turn_taking"] for point in result["start"]] == [
        {"start": start, "stop": 0.5, "memory": 0.85} for start in GRID.starts
    ]
    assert [point["turn_taking"]["stop"] for point in result["stop"]] == list(GRID.stops)
    assert result["chosen"] in [result["likeliest"], *result["stop"]]
    # The random model's likeliest token is never BOS; with summed probabilities, it takes turns.
    assert result["likeliest"]["turn_taken_rate"]["value"] == 0
    assert max(point["turn_taken_rate"]["value"] for point in result["start"]) > 0
    assert result["likeliest"]["turn_taken_rate"]["n"] >= 2
    assert "pause_take_over_rate" in result["about"]["unmeasured"]
    point = result["chosen"]["turn_taking"]
    assert Speaking().decoding(own_run).turn_taking == (TurnTaking(**point) if point else None)


def test_a_closed_loop_is_played_too_and_gives_the_same_bytes_twice(request_of, own_run, impatient_user):
    whole = request_of(closed_loop=True, grid=Grid((0.006,), (0.008,)))
    result = tune(whole, quietly)
    assert result["about"]["loop"].startswith("closed: the user reacts to BOS and EOS")
    first = written_by(own_run)
    assert tune(whole, quietly) == result and written_by(own_run) == first
    assert result != tune(replace(whole, closed_loop=False), quietly)


def test_a_point_is_stored_only_if_it_beats_the_likeliest_token(request_of, own_run, monkeypatch):
    monkeypatch.setattr("pipeline.tune.START_COST", {"unprompted_starts_per_min": 1.0})
    (own_run / "checkpoints/00000007/turn_taking.yaml").write_text("start: 0.1\n")
    result = tune(
        request_of(limit=1, grid=Grid((0.003,), (0.008,))), quietly
    )  # who never speaks does not start unasked
    assert result["chosen"] == result["likeliest"]
    assert read_turn_taking(own_run) is None


def test_the_cost_of_a_point_is_the_weighted_sum_of_the_measured_figures():
    found = dict.fromkeys(("false_alarm_rate", "unprompted_starts_per_min", "false_stop_rate"), NOTHING)
    found |= {"chance_stop_rate": Figure(0.25, 8, None), "turn_ended_rate": Figure(1.0, 9, None)}
    found |= {"turn_taken_rate": Figure(0.9, 10, None), "pause_take_over_rate": Figure(0.2, 10, None)}
    found |= {"first_response_latency_s": Figure(0.5, 9, None)}
    found |= {"barge_in_success_rate": Figure(0.5, 4, None), "barge_in_latency_s": Figure(1.0, 2, None)}
    point = Point(TurnTaking(), found)
    assert point.start_cost == pytest.approx(-0.9 + 0.2 + 0.05)
    assert point.stop_cost == pytest.approx(-0.5 + 0.25 - 1 + 0.1)


def test_an_agent_that_hardly_speaks_does_not_win_by_its_few_stops():
    none = dict.fromkeys((*START_COST, *STOP_COST), NOTHING)
    shy = Point(None, none | {"turn_taken_rate": Figure(0.2, 187, None), "barge_in_success_rate": Figure(1.0, 2, None)})
    lively = Point(
        TurnTaking(), none | {"turn_taken_rate": Figure(0.95, 187, None), "false_stop_rate": Figure(0.8, 7, None)}
    )
    assert shy.cost < lively.cost
    assert lively.beats(shy) and not shy.beats(replace(shy))


def test_wrong_requests_are_rejected(request_of, own_run, tmp_path):
    with pytest.raises(RequestError, match="no dialogue in a split 'validation'; it has: train"):
        tune(request_of(split="validation"), quietly)
    (own_run / ".tune").mkdir()
    with pytest.raises(RequestError, match=r"can't be written: .*; `salm-duplex slim .* makes a writable copy"):
        tune(request_of(), quietly)
    with pytest.raises(RequestError, match="not a training run"):
        tune(request_of(run=tmp_path), quietly)


def test_the_command(own_run, short_corpus):
    more = ("--split", "train", "--limit", 1, "--start", 0.003, "--stop", 0.004, "--memory", 0.85)
    result = run("tune", own_run, "--corpus", short_corpus.url, *more)
    assert result.returncode == 0, result.stderr
    assert "start=0.003,stop=0.5,memory=0.85" in result.stdout
    assert "Not measured, since these dialogues have no such events: pauses taken over" in result.stdout
    assert "Chosen: " in result.stdout and "turn_taking.png" in result.stdout
