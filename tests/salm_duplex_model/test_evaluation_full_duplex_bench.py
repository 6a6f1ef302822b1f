"""The axes of Full-Duplex-Bench on hand-made timelines, and the folder for its scripts."""

import json

import numpy as np
import pytest
import soundfile

from salm_duplex_model.evaluation.full_duplex_bench import FIGURE_OF, examples, measure, timed_words, write_examples
from salm_duplex_model.evaluation.timeline import Interval, Scene, Spoken, UserTurn

SCENE = Scene(
    "s",
    30,
    (
        UserTurn(1, 5, "It is, well, far.", "turn", (Interval(2, 3),), True),
        UserTurn(12, 14, "Stop, which one?", "barge_in", (), True),
        UserTurn(20, 24, "Let me tell you a story.", "turn", (), False),
    ),
)
TURNS = [Spoken(5.5, 12.6, "Take the road to the left"), Spoken(14.8, 18, "The left one")]
SPEECH = [Interval(5.5, 12.5), Interval(14.8, 18)]


def samples(agent: list[Interval], words: list[Spoken] | None = None) -> dict[str, list[float]]:
    return {name: own for name, own in measure(SCENE, agent, words or [], 32).items() if own}


def test_each_event_becomes_an_example():
    found = [(e.task, e.clip.start, e.clip.end) for e in examples(SCENE, 32)]
    assert found == [
        ("pause_handling", 1, 5),
        ("smooth_turn_taking", 1, 12),
        ("user_interruption", 1, 20),
        ("backchannel", 20, 24),
    ]


def test_a_good_agent():
    got = samples(SPEECH)
    assert got["fdb_pause_tor"] == got["fdb_backchannel_tor"] == got["fdb_backchannel_freq"] == [0]
    assert got["fdb_turn_tor"] == got["fdb_interruption_tor"] == [1]
    assert got["fdb_turn_latency_s"] == pytest.approx([0.5])
    assert got["fdb_interruption_latency_s"] == pytest.approx([0.8])


def test_a_silent_agent():
    got = samples([])
    assert got["fdb_turn_tor"] == got["fdb_interruption_tor"] == [0]
    assert "fdb_turn_latency_s" not in got


def test_an_agent_that_never_stops():
    got = samples([Interval(0, 30)])
    assert got["fdb_pause_tor"] == got["fdb_backchannel_tor"] == [1]
    assert got["fdb_turn_latency_s"] == got["fdb_interruption_latency_s"] == [0]


def test_the_rest_of_an_answer_that_yields_is_not_output():
    got = samples([Interval(0, 1.9), Interval(5.5, 14.1), Interval(15, 18)])
    assert got["fdb_pause_tor"] == [0]
    assert got["fdb_turn_latency_s"] == pytest.approx([0.5])
    assert got["fdb_interruption_latency_s"] == [0]  # 0.1 s longer than the user's turn: it has not yielded
    assert samples([Interval(0, 5.2)])["fdb_pause_tor"] == [1]


def test_a_second_or_more_than_three_words_are_a_take_over():
    short = [Interval(2.2, 2.7)]
    assert samples(short)["fdb_pause_tor"] == [0]
    assert samples([*short, Interval(3.3, 3.6)])["fdb_pause_tor"] == [1]  # from the first sound to the last
    words = [Spoken(2.2 + i / 10, 2.3 + i / 10, "a") for i in range(4)]
    assert samples(short, words[:3])["fdb_pause_tor"] == [0]
    assert samples(short, words)["fdb_pause_tor"] == [1]


def test_short_outputs_in_a_long_turn_are_backchannels():
    got = samples([Interval(21, 21.3), Interval(23, 23.4)])
    assert got["fdb_backchannel_tor"] == [0]
    assert got["fdb_backchannel_freq"] == [0.5]
    assert samples([Interval(21, 22.5)])["fdb_backchannel_tor"] == [1]
    words = [Spoken(21.1 + i / 10, 21.2 + i / 10, "a") for i in range(3)]
    assert samples([Interval(21, 21.5)], words[:2])["fdb_backchannel_tor"] == [0]
    assert samples([Interval(21, 21.5)], words)["fdb_backchannel_tor"] == [1]  # one word fewer than elsewhere


def test_outputs_are_counted_until_one_is_longer_than_3_s():
    long = Scene("s", 30, (UserTurn(1, 11, "", "turn", (), False),))
    agent = [Interval(2, 2.4), Interval(3, 5), Interval(6, 9.5), Interval(10, 10.3)]
    assert measure(long, agent, [], 32)["fdb_backchannel_freq"] == [0.2]


def test_words_are_spread_over_the_sound_of_their_turn():
    words = timed_words([Spoken(1, 3, "ab cdef")], [Interval(1.2, 2.4)])
    assert [(w.text, round(w.start, 3), round(w.end, 3)) for w in words] == [("ab", 1.2, 1.6), ("cdef", 1.6, 2.4)]
    assert timed_words([Spoken(1, 3, "ab cdef")], [])[1].end == 3
    assert timed_words([Spoken(1, 3, "")], []) == []


def test_the_folder_has_the_files_and_keys_that_the_benchmark_reads(tmp_path):
    user, agent = np.zeros(30 * 16_000, np.float32), np.zeros(32 * 22_050, np.float32)
    user[16_000], agent[round(5.5 * 22_050)] = 0.5, 0.5
    numbers = {"pause_handling": 3}
    index = write_examples(tmp_path, SCENE, user, agent, SPEECH, timed_words(TURNS, SPEECH), numbers)
    assert [(row["task"], row["number"], row["dialogue"]) for row in index] == [
        ("pause_handling", 4, "s"),
        ("smooth_turn_taking", 1, "s"),
        ("user_interruption", 1, "s"),
        ("backchannel", 1, "s"),
    ]

    def read(name: str):
        return json.loads((tmp_path / name).read_text())

    assert read("pause_handling/4/pause.json") == [{"text": "[PAUSE]", "timestamp": [1.0, 2.0]}]
    assert read("pause_handling/4/output.json") == {"text": "", "chunks": []}
    assert read("smooth_turn_taking/1/turn_taking.json")[0]["timestamp"][0] == 4.0  # the turn's end
    said = read("smooth_turn_taking/1/output.json")
    assert said["text"] == "Take the road to the left"
    assert said["chunks"][0] == {"text": "Take", "timestamp": [4.5, pytest.approx(5.9, abs=0.2)]}
    assert said["chunks"][-1] == {"text": "left", "timestamp": [pytest.approx(10.1, abs=0.2), 11]}  # the clip's end
    assert read("user_interruption/1/interrupt.json") == [
        {"context": "It is, well, far.", "interrupt": "Stop, which one?", "timestamp": [11, 13]}
    ]
    assert read("user_interruption/1/output.json")["text"] == "The left one"
    samples, rate = soundfile.read(tmp_path / "smooth_turn_taking/1/input.wav")
    assert (rate, len(samples), np.argmax(samples)) == (16_000, 11 * 16_000, 0)
    samples, rate = soundfile.read(tmp_path / "smooth_turn_taking/1/output.wav")
    assert (rate, np.argmax(samples)) == (16_000, round(4.5 * 16_000))


def test_the_end_of_the_previous_answer_is_silenced_unless_it_is_interrupted(tmp_path):
    user, agent = np.zeros(30 * 16_000, np.float32), np.zeros(32 * 22_050, np.float32)
    sounds = [Interval(0, 1.5), Interval(5.5, 12.5), Interval(14.8, 18), Interval(19, 20.5)]
    for sound in sounds:
        agent[round(sound.start * 22_050) : round(sound.end * 22_050)] = 0.5
    write_examples(tmp_path, SCENE, user, agent, sounds, [], {})
    heard = {task: soundfile.read(tmp_path / task / "1" / "output.wav")[0] for task in FIGURE_OF}
    assert not np.any(heard["backchannel"]) and not np.any(heard["pause_handling"])
    turn = np.flatnonzero(np.abs(heard["smooth_turn_taking"]) > 0.2) / 16_000
    assert turn[0] == pytest.approx(4.5, abs=0.01)
    assert np.abs(heard["user_interruption"][: 16_000 // 4]).max() > 0.2
