from dataclasses import replace

import numpy as np
import pytest
from material import make_dialogue, noise_speech

from manifests.columns import COLUMNS, dialogue_row, distributions, numbers
from manifests.records import Checks, DuplexDialogue, Noise, Segment, Span, SpokenDialogue, Timeline, Word
from manifests.table import DIALOGUES

S, T = 16_000, 22_050


def segment(turn, start_s, length_s, heard, written, **kind) -> Segment:
    rate = S if turn % 2 == 0 else T
    words = tuple(Word(f"w{i}", i, i + 1) for i in range(heard))
    full = " ".join(f"w{i}" for i in range(written))
    speaker = "user" if turn % 2 == 0 else "agent"
    return Segment(turn, speaker, int(start_s * rate), int(length_s * rate), full, words, **kind)


@pytest.fixture
def record() -> DuplexDialogue:
    """The user speaks, is answered, interrupts the answer half a second before it ends, is answered again."""
    spoken = SpokenDialogue(make_dialogue(), tuple(noise_speech(1.0, 3) for _ in range(4)))
    segments = (
        segment(0, 0.5, 2.0, 5, 5, pauses=(Span(800, 1600),)),
        segment(1, 3.0, 4.0, 7, 12, cut_off=True),
        segment(2, 6.5, 1.5, 4, 4, event="barge_in"),
        segment(3, 8.75, 1.0, 2, 2),
    )
    user, agent = np.zeros(125 * 1_280, np.int16), np.zeros(125 * 1_764, np.int16)
    user[7], agent[3] = 16_384, -32_768
    return DuplexDialogue(Timeline(spoken, segments, 125), user, agent)


def test_a_row_describes_the_timeline(record):
    row = dialogue_row(record)
    assert (row["frames"], row["duration_s"], row["turns"]) == (125, 10.0, 4)
    assert (row["barge_ins"], row["backchannels"], row["pauses"]) == (1, 0, 1)
    assert row["agent_gaps_s"] == [0.5, 0.75]
    assert row["user_gaps_s"] == [-0.5]
    assert row["cut_offs_s"] == [0.5]
    assert row["words_lost"] == [5]
    assert (row["user_words"], row["agent_words"]) == (9, 9)
    assert (row["user_speech_s"], row["agent_speech_s"]) == (3.5, 5.0)
    assert row["turn_seconds"] == [2.0, 4.0, 1.5, 1.0]
    assert row["user_peak_dbfs"] == pytest.approx(-6.02)
    assert row["agent_peak_dbfs"] == 0.0


def test_a_backchannel_is_not_a_turn(record):
    *before, last = record.timeline.segments
    mm_hm = segment(2, 4.0, 0.5, 1, 1, event="backchannel")
    timeline = replace(record.timeline, segments=(*before[:2], mm_hm, before[2], last))
    row, without = dialogue_row(replace(record, timeline=timeline)), dialogue_row(record)
    assert row["backchannels"] == 1
    for name in ("turns", "barge_ins", "agent_gaps_s", "user_gaps_s", "cut_offs_s", "words_lost", "turn_seconds"):
        assert row[name] == without[name]


def test_missing_checks_are_null_or_empty_and_others_present(record):
    row = dialogue_row(record)
    assert (row["least_heard"], row["edge_errors_s"], row["noise"], row["noise_snr_db"]) == (None, [], "", None)
    checked = replace(record, checks=Checks(least_heard=0.9, edge_errors_s=(0.01, -0.02)))
    noisy = replace(checked, noise=Noise("pink", 21.4567, (Span(0, 5), Span(9, 5))))
    row = dialogue_row(noisy)
    assert (row["least_heard"], row["edge_errors_s"]) == (0.9, [0.01, -0.02])
    assert (row["noise"], row["noise_snr_db"], row["noise_bursts"]) == ("pink", 21.46, 2)


def test_every_column_is_in_the_table_with_a_definition():
    assert DIALOGUES.names == [column.name for column in COLUMNS]
    assert len(set(DIALOGUES.names)) == len(COLUMNS)
    assert all(column.definition.endswith(".") for column in COLUMNS)
    keys = [figure.key for _, figure in (*numbers(), *distributions())]
    assert len(set(keys)) == len(keys)
