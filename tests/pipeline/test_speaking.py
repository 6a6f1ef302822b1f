"""The options that control how an agent speaks, and the turn taking stored in a run."""

from pathlib import Path

import pytest
from command_material import run_inside
from material import SMALL_RUN
from test_cli import refused

from manifests.errors import RequestError
from pipeline.commands.speaking import Speaking
from salm_duplex_model.checkpoint import BUNDLED_RUN, read_turn_taking, save, slim, write_config, write_turn_taking
from salm_duplex_model.config import RunConfig
from salm_duplex_model.session import Decoding
from salm_duplex_model.turn_taking import TurnTaking

POINT = TurnTaking(start=0.25, stop=0.75, memory=0.5)


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "run"
    (folder / "llm").mkdir(parents=True)
    write_config(folder, RunConfig.model_validate(SMALL_RUN))
    save(folder, 4, {}, {}, {}, keep=2)
    return folder


def test_a_run_without_a_point_takes_the_likeliest_token(folder):
    assert Speaking().decoding(folder) == Decoding(0, 0.8, 0)
    assert Speaking().decoding(BUNDLED_RUN).turn_taking == read_turn_taking(BUNDLED_RUN)


def test_a_run_s_own_point_is_used_unless_the_command_line_says_otherwise(folder):
    write_turn_taking(folder, POINT)
    assert Speaking().decoding(folder).turn_taking == POINT
    assert Speaking(turn_taking="start=0.5,memory=0").decoding(folder).turn_taking == TurnTaking(0.5, 0.75, 0)
    assert Speaking(turn_taking=str(TurnTaking(0.5, 1.5, 0.25))).decoding(folder).turn_taking == TurnTaking(
        0.5, 1.5, 0.25
    )
    assert Speaking(turn_taking="likeliest").decoding(folder).turn_taking is None


def test_a_point_belongs_to_its_weights_and_is_copied_with_them(folder, tmp_path):
    write_turn_taking(folder, POINT)
    slim(folder, tmp_path / "slim")
    assert read_turn_taking(tmp_path / "slim") == POINT
    save(folder, 8, {}, {}, {}, keep=2)
    assert read_turn_taking(folder) is None


def test_invalid_values_are_rejected_in_a_sentence(folder):
    for text, message in (
        ("start", "--turn-taking takes key=value, as in --turn-taking start=0.35,stop=0.5, not 'start'"),
        ("begin=1", "The turn taking has no key 'begin'; the keys are: start, stop, memory"),
        ("memory=2", "The turn taking's memory is wrong: input should be less than 1, not 2"),
    ):
        with pytest.raises(RequestError, match=message):
            Speaking(turn_taking=text).decoding(folder)
    path = write_turn_taking(folder, POINT)
    path.write_text("start: soon")
    with pytest.raises(RequestError, match=r"turn_taking\.yaml can't be read .*; delete it, or run"):
        Speaking().decoding(folder)
    path.write_text("[]")
    with pytest.raises(RequestError, match=r"turn_taking\.yaml can't be read"):
        Speaking().decoding(folder)


def test_the_commands_have_the_options(folder, tmp_path):
    out = tmp_path / "e.json"
    message = refused(run_inside("evaluate", folder, "--corpus", tmp_path, "--out", out, "--turn-taking", "stop=0"))
    assert "The turn taking's stop is wrong: input should be greater than 0" in message
