"""Agents made from the reference channels of a small corpus: good ones get good scores, bad ones get bad scores."""

from dataclasses import dataclass

import numpy as np
import pytest
import soxr

from manifests.frames import SOURCE_RATE, TARGET_FRAME, TARGET_RATE
from manifests.text_channel import text_channel
from salm_duplex_model.batch import frames_of
from salm_duplex_model.evaluation.bootstrap import Figure
from salm_duplex_model.evaluation.scores import score, score_reference, summarize
from salm_duplex_model.tokenizer import BUNDLED, TextTokenizer

TOKENIZER = TextTokenizer.load(BUNDLED)
SPECIAL = TOKENIZER.special


@dataclass
class Channels:
    audio: np.ndarray
    tokens: np.ndarray

    def later(self, frames: int) -> "Channels":
        audio = np.concatenate([np.zeros(frames * TARGET_FRAME, np.float32), self.audio])
        return Channels(audio, np.concatenate([np.full(frames, SPECIAL.pad), self.tokens]))


def channel(cut, speaker: str) -> Channels:
    tokens = text_channel(cut.supervisions, frames_of(cut), speaker, TOKENIZER.encode, SPECIAL).tokens
    if speaker == "agent":
        return Channels(cut.load_target_audio()[0], tokens)
    audio = soxr.resample(cut.load_audio()[0], SOURCE_RATE, TARGET_RATE)
    return Channels(np.pad(audio, (0, max(0, frames_of(cut) * TARGET_FRAME - len(audio)))), tokens)


def always_talking(cut) -> Channels:
    frames = frames_of(cut)
    noise = np.random.default_rng(0).uniform(-0.2, 0.2, frames * TARGET_FRAME).astype(np.float32)
    word = TOKENIZER.encode("and")[0]
    return Channels(noise, np.array([SPECIAL.bos, *[word] * (frames - 1)]))


def always_silent(cut) -> Channels:
    frames = frames_of(cut)
    return Channels(np.zeros(frames * TARGET_FRAME, np.float32), np.full(frames, SPECIAL.pad))


AGENTS = {
    "reference": lambda cut: channel(cut, "agent"),
    "late": lambda cut: channel(cut, "agent").later(25),
    "talking": always_talking,
    "silent": always_silent,
    # What a microphone would return of the user, two frames later; swapped channels are the same without the delay.
    "echo": lambda cut: channel(cut, "user").later(2),
    "swapped": lambda cut: channel(cut, "user"),
}


@pytest.fixture(scope="module")
def figures(small_corpus) -> dict[str, dict[str, Figure]]:
    cuts = list(small_corpus.cuts("train"))
    found = {}
    for name, agent in AGENTS.items():
        played = [(cut, agent(cut)) for cut in cuts]
        found[name] = summarize([score(cut, own.audio, own.tokens, TOKENIZER) for cut, own in played])
    return found


def values(figures: dict[str, Figure]) -> dict[str, float | None]:
    return {name: found.value for name, found in figures.items()}


@pytest.mark.parametrize("by", ["", "text_"])
def test_the_reference_agent_does_everything_right(figures, by):
    got = values(figures["reference"])
    assert figures["reference"]["barge_in_success_rate"].n >= 5
    assert got[by + "barge_in_success_rate"] == got[by + "barge_in_met_rate"] == 1
    assert got[by + "barge_in_latency_s"] == pytest.approx(0.64, abs=0.08)
    assert got[by + "false_alarm_rate"] == got[by + "talk_over_share"] == got[by + "unprompted_dialogue_share"] == 0
    assert got[by + "turn_taken_rate"] == got[by + "interruption_taken_rate"] == got[by + "turn_ended_rate"] == 1
    assert 0.6 < got[by + "first_response_latency_s"] < 0.8
    assert got["turn_taking_precision"] == got["turn_taking_recall"] == 1
    assert got["agent_bleu"] == pytest.approx(100)
    assert got["fdb_turn_tor"] == got["fdb_interruption_tor"] == 1
    assert got["fdb_backchannel_tor"] == 0


def test_scoring_the_reference_is_scoring_its_channels(small_corpus, figures):
    assert summarize([score_reference(cut, TOKENIZER) for cut in small_corpus.cuts("train")]) == figures["reference"]


@pytest.mark.parametrize("by", ["", "text_"])
def test_an_agent_that_is_two_seconds_late(figures, by):
    got = values(figures["late"])
    assert got[by + "first_response_latency_s"] > 2.5
    # It continues past the barge-in, or has not started.
    assert not got[by + "barge_in_success_rate"]
    assert got["turn_taking_precision"] < 0.5 and got["turn_taking_recall"] < 0.5
    assert got["agent_bleu"] == pytest.approx(100)


@pytest.mark.parametrize("by", ["", "text_"])
def test_an_agent_that_never_stops_talking(figures, by):
    got = values(figures["talking"])
    assert got[by + "barge_in_met_rate"] == 1
    assert got[by + "barge_in_success_rate"] == 0
    assert got[by + "barge_in_latency_s"] is None
    assert got[by + "talk_over_share"] == pytest.approx(1)
    assert got[by + "turn_taken_rate"] == 0
    assert got[by + "unprompted_dialogue_share"] == 1
    assert got["fdb_backchannel_tor"] == 1
    assert got["agent_bleu"] < 1


@pytest.mark.parametrize("by", ["", "text_"])
def test_an_agent_that_never_speaks_cannot_succeed_in_falling_silent(figures, by):
    got = values(figures["silent"])
    assert figures["silent"][by + "barge_in_success_rate"] == Figure(None, 0, None)
    assert got[by + "barge_in_met_rate"] == got[by + "turn_taken_rate"] == 0
    assert figures["silent"][by + "first_response_latency_s"].n == 0
    assert got["fdb_turn_tor"] == got["turn_taking_recall"] == got["agent_bleu"] == 0
    assert got["turn_taking_precision"] is None


@pytest.mark.parametrize("by", ["", "text_"])
def test_an_agent_that_echoes_the_user(figures, by):
    got = values(figures["echo"])
    assert got[by + "false_alarm_rate"] == 1
    assert got[by + "talk_over_share"] > 0.8
    assert got[by + "turn_taken_rate"] == got[by + "barge_in_met_rate"] == 0


def test_swapped_channels_talk_over_the_user_and_say_other_words(figures):
    got = values(figures["swapped"])
    assert got["talk_over_share"] > 0.9
    assert got["barge_in_met_rate"] == 0
    assert got["turn_taking_precision"] < 0.5 and got["turn_taking_recall"] < 0.5
    assert got["agent_bleu"] < 10


def test_every_figure_has_its_count_and_no_value_without_one(figures):
    for own in figures.values():
        for name, found in own.items():
            assert (found.value is None) == (found.n == 0), name
            assert found.ci95 is None or found.ci95[0] <= found.value <= found.ci95[1], name
