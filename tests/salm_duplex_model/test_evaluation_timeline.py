"""When an agent speaks, from its audio and from its text channel; and a scene from a cut's labels."""

import numpy as np
import pytest
from lhotse import SupervisionSegment
from lhotse.testing.dummies import dummy_cut

from manifests.frames import TARGET_RATE
from manifests.text_channel import SpecialTokens
from salm_duplex_model.evaluation.activity import joined, speech, text_turns, user_turns
from salm_duplex_model.evaluation.timeline import Interval, scene_of

SPECIAL = SpecialTokens(pad=0, bos=1, eos=2)


def tone(*spans: tuple[float, float], seconds: float = 6.0, level: float = 0.1) -> np.ndarray:
    time = np.arange(round(seconds * TARGET_RATE)) / TARGET_RATE
    on = sum(((time >= a) & (time < b)).astype(float) for a, b in spans)
    return (level * np.sin(2 * np.pi * 200 * time) * on).astype(np.float32)


def edges(turns: list[Interval]) -> list[tuple[float, float]]:
    return [(turn.start, turn.end) for turn in turns]


def test_sound_is_found_to_the_window():
    assert np.allclose(edges(speech(tone((1.0, 2.0), (4.0, 5.5)))), [(1.0, 2.0), (4.0, 5.5)], atol=0.02)
    assert speech(np.zeros(1_000, np.float32)) == [] == speech(np.zeros(0, np.float32))
    assert speech(tone((1, 2), level=0.004)) == []  # −51 dBFS: a codec's silence


def test_a_pause_between_sentences_is_no_falling_silent_and_a_click_is_not_a_turn():
    assert np.allclose(edges(speech(tone((1.0, 2.0), (2.45, 3.0)))), [(1.0, 3.0)], atol=0.02)
    assert len(speech(tone((1.0, 2.0), (2.55, 3.0)))) == 2
    assert speech(tone((1.0, 1.05))) == []
    assert joined([Interval(0, 0.05), Interval(0.2, 0.25)], hold_s=0.5, blip_s=0.1) == [Interval(0, 0.25)]


def test_the_reference_channels_speech_is_where_the_labels_say(small_corpus):
    for cut in small_corpus.cuts("train"):
        turns = [(s.start, s.end) for s in cut.supervisions if s.speaker == "agent"]
        assert np.allclose(edges(speech(cut.load_target_audio()[0])), turns, atol=0.08)


def test_text_turns_last_from_bos_to_eos_or_the_next_bos():
    tokens = np.array([0, 1, 5, 6, 2, 0, 1, 7, 1, 8])
    turns = text_turns(tokens, SPECIAL, lambda ids: " ".join(map(str, ids)))
    assert np.allclose(edges(turns), [(0.08, 0.32), (0.48, 0.64), (0.64, 0.8)])
    assert [turn.text for turn in turns] == ["1 5 6", "1 7", "1 8"]
    assert text_turns(np.array([0, 2, 5, 0]), SPECIAL, str) == []  # words without BOS are not a turn


def test_of_the_users_words_none_is_lost_to_a_wrong_mark():
    tokens = np.array([0, 1, 0, 5, 6, 2, 2, 0, 7, 0, 1, 2, 1, 8])
    turns = user_turns(tokens, SPECIAL, lambda ids: " ".join(map(str, ids)))
    assert [turn.text for turn in turns] == ["5 6", "7", "8"]
    assert [(round(turn.start / 0.08), round(turn.end / 0.08)) for turn in turns] == [(3, 5), (8, 10), (13, 14)]


def _supervision(number: int, speaker: str, start: float, duration: float, **custom) -> SupervisionSegment:
    return SupervisionSegment(f"s{number}", "r", start, duration, speaker=speaker, text="x", custom=custom)


def test_a_scene_matches_the_labels():
    cut = dummy_cut(0, duration=30.0)
    cut.supervisions = [
        _supervision(2, "user", 6.0, 0.4, event="backchannel"),
        _supervision(0, "user", 0.0, 3.0, event="turn", pauses=[[1.0, 0.5]]),
        _supervision(1, "agent", 4.0, 5.0, event="turn"),
        _supervision(3, "user", 8.0, 2.0, event="barge_in"),
    ]
    cut.custom = {"noise_bursts": [[20.0, 0.25]]}
    scene = scene_of(cut)
    assert [(turn.event, turn.answered) for turn in scene.user] == [
        ("turn", True),
        ("backchannel", False),
        ("barge_in", False),
    ]
    assert scene.user[0].pauses == (Interval(1.0, 1.5),)
    assert scene.noises == (Interval(20.0, 20.25),)
    assert scene.window_after(scene.user[0]) == 8.0
    assert scene.window_after(scene.user[2]) == float("inf")
    assert not scene.agent_opens
    cut.supervisions, cut.custom = [], None
    assert scene_of(cut).user == ()


def test_a_backchannel_between_question_and_answer_does_not_make_it_unanswered():
    cut = dummy_cut(0, duration=30.0)
    cut.supervisions = [
        _supervision(0, "user", 0.0, 3.0, event="turn"),
        _supervision(1, "user", 3.2, 0.2, event="backchannel"),
        _supervision(2, "agent", 4.0, 5.0, event="turn"),
    ]
    assert scene_of(cut).user[0].answered


@pytest.mark.parametrize(("start", "end", "left"), [(0, 10, (2, 5)), (3, 4, (3, 4)), (4, 9, (4, 5)), (5, 9, None)])
def test_clipping(start, end, left):
    assert Interval(2, 5).clipped(start, end) == (Interval(*left) if left else None)


def test_the_agents_backchannels_are_not_turns_and_a_silence_ends_with_the_users_answer():
    cut = dummy_cut(0, duration=60.0)
    cut.supervisions = [
        _supervision(0, "user", 0.0, 8.0, event="turn"),
        _supervision(1, "agent", 4.0, 0.4, event="backchannel"),
        _supervision(2, "agent", 8.6, 2.0, event="turn"),
        _supervision(3, "agent", 18.0, 1.0, event="turn", act="reprompt"),
        _supervision(4, "user", 20.0, 2.0, event="turn"),
        _supervision(5, "agent", 22.6, 2.0, event="turn"),
    ]
    scene = scene_of(cut)
    assert [turn.start for turn in scene.reference] == [8.6, 18.0, 22.6]
    assert scene.backchannels == (Interval(4.0, 4.4),)
    assert scene.silences == (Interval(13.6, 20.0),)
    assert [turn.answered for turn in scene.user] == [True, True]
