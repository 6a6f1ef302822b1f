"""The columns of the manifest, which describe a dialogue, and the corpus figures computed from them.

The Parquet table, the statistics in `corpus.json`, the card and the report iterate over `COLUMNS`: to add a figure,
add an entry here. Gaps are floor-transfer offsets between speakers, negative for overlaps."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from manifests.direction_columns import DIRECTION_COLUMNS
from manifests.event_columns import EVENT_COLUMNS
from manifests.figures import REAL, REALS, TEXT, WHOLE, WHOLES, Aim, Column, Distribution, Number, some, total
from manifests.frames import FRAME_SECONDS, SOURCE_FRAME, SOURCE_RATE, TARGET_RATE
from manifests.interruptions import interruptions
from manifests.label_columns import LABELS
from manifests.pcm import FULL_SCALE
from manifests.records import ASIDES, DuplexDialogue, Segment, join_voices
from manifests.sound_columns import SOUND_COLUMNS
from manifests.text_columns import TEXT_COLUMNS

# Values from a dialogue. What `verify` did not check is null or empty.


def _turns(record: DuplexDialogue) -> list[Segment]:
    return [segment for segment in record.timeline.segments if segment.event not in ASIDES]


def _rate(segment: Segment) -> int:
    return SOURCE_RATE if segment.speaker == "user" else TARGET_RATE


def _gap(before: Segment, after: Segment) -> float:
    return round(after.start / _rate(after) - before.end / _rate(before), 4)


def _gaps(speaker: str) -> Callable[[DuplexDialogue], list[float]]:
    """The times from the other speaker's end to each start of this one."""
    return lambda record: [
        _gap(before, after)
        for before, after in itertools.pairwise(_turns(record))
        if before.speaker != after.speaker == speaker
    ]


def _cuts(record: DuplexDialogue) -> Iterator[tuple[Segment, Segment]]:
    """Each turn cut off by a barge-in, with the interrupting turn."""
    return ((one.agent, one.user) for one in interruptions(record.timeline))


def _waiting(record: DuplexDialogue) -> int:
    turns, segments = record.dialogue.turns, record.timeline.segments
    return sum(turns[segment.turn].event == "barge_in" != segment.event for segment in segments)


def _voices(speaker: str) -> Callable[[DuplexDialogue], str]:
    return lambda record: join_voices(t.voice for t in record.dialogue.turns if t.speaker == speaker)


def _speech_s(speaker: str) -> Callable[[DuplexDialogue], float]:
    return lambda record: round(sum(s.length / _rate(s) for s in record.timeline.segments if s.speaker == speaker), 4)


def _words(speaker: str) -> Callable[[DuplexDialogue], int]:
    return lambda record: sum(len(s.words) for s in record.timeline.segments if s.speaker == speaker)


def _peak_dbfs(samples: np.ndarray) -> float:
    peak = int(np.abs(samples.astype(np.int32)).max(initial=0))
    return round(float(20 * np.log10(max(peak, 1) / FULL_SCALE)), 2)


def _check(name: str) -> Callable[[DuplexDialogue], float | None]:
    return lambda record: getattr(record.checks, name) if record.checks else None


def _checks(name: str) -> Callable[[DuplexDialogue], list[float]]:
    return lambda record: list(getattr(record.checks, name)) if record.checks else []


# Figures from rows.


def _hours(rows: pd.DataFrame) -> float:
    return round(float(rows.sum().sum()) / 3600, 4)


def _long(rows: pd.DataFrame) -> pd.DataFrame:
    """Dialogues in which the user can interrupt: those with three or more turns."""
    return rows[rows["turns"] >= 3]


def _share_with_barge_in(rows: pd.DataFrame) -> float | None:
    long = _long(rows)
    return round(some(long[["barge_ins"]]) / len(long), 4) if len(long) else None


def _distinct(rows: pd.DataFrame) -> int:
    return int(rows.iloc[:, 0].nunique())


COLUMNS = (
    Column("id", TEXT, lambda r: r.dialogue.id, "", "The id of the dialogue and of its cut."),
    Column(
        "split", TEXT, lambda r: r.dialogue.split, "", "train, validation or test.",
        (Number("dialogues", "dialogues", len, each_split=True, in_splits=True),),
    ),
    Column("shard", WHOLE, None, "", "The number of the shard with its cut, in its split's folder."),
    Column("source", TEXT, lambda r: r.dialogue.source, "", "The file it was read from, and the position in it."),
    Column("frames", WHOLE, lambda r: r.timeline.frames, "frames", "Duration in 80 ms frames."),
    Column(
        "duration_s", REAL, lambda r: round(r.timeline.frames * SOURCE_FRAME / SOURCE_RATE, 6), "s",
        "Duration of a dialogue, including silence.",
        (Number("hours", "hours", _hours, in_splits=True), Distribution("dialogue_s", "dialogue", "user")),
    ),
    Column(
        "turns", WHOLE, lambda r: len(_turns(r)), "turns", "Turns of both speakers, without asides.",
        (
            Number("turns", "turns", total, in_splits=True),
            Number("dialogues_of_three_turns_or_more", "dialogues with three or more turns", lambda rows: len(_long(rows))),
        ),
    ),
    Column(
        "user_voice", TEXT, _voices("user"), "", "The user's voice; several are separated by commas.",
        (Number("user_voices", "user voices", _distinct, each_split=True, in_splits=True),),
    ),
    Column(
        "agent_voice", TEXT, _voices("agent"), "", "The agent's voice.",
        (Number("agent_voices", "", lambda rows: sorted(rows["agent_voice"].unique())),),
    ),
    Column(
        "user_speech_s", REAL, _speech_s("user"), "s", "Total duration of the user's turns.",
        (Number("user_speech_hours", "hours of user speech", _hours, in_splits=True),),
    ),
    Column(
        "agent_speech_s", REAL, _speech_s("agent"), "s", "Total duration of the agent's turns.",
        (Number("agent_speech_hours", "hours of agent speech", _hours, in_splits=True),),
    ),
    Column(
        "user_words", WHOLE, _words("user"), "words", "Words of the user that are heard completely.",
        (Number("words", "words heard", total, beside=("agent_words",), in_splits=True),),
    ),
    Column("agent_words", WHOLE, _words("agent"), "words", "Words of the agent that are heard completely."),
    Column(
        "barge_ins", WHOLE, lambda r: len(list(_cuts(r))), "", "How often the user interrupts and the agent falls silent.",
        (
            Number("barge_ins", "barge-ins", total, in_splits=True),
            Number("with_barge_in", "dialogues with a barge-in", some, in_splits=True),
            Number(
                "share_of_those_with_barge_in", "share with a barge-in, of dialogues with three or more turns",
                _share_with_barge_in, beside=("turns",),
            ),
        ),
    ),
    Column(
        "barge_ins_that_wait", WHOLE, _waiting, "",
        "Barge-ins from a log or a director that wait because the agent's turn before is too short to be cut.",
        (Number("barge_ins_that_wait", "barge-ins without room", total),),
    ),
    *EVENT_COLUMNS,
    *TEXT_COLUMNS,
    Column(
        "pauses", WHOLE, lambda r: sum(len(segment.pauses) for segment in r.timeline.segments), "",
        "Pauses inserted into turns.", (Number("pauses", "pauses inserted into turns", total),),
    ),
    Column(
        "pauses_s", REALS, lambda r: [round(p.length / _rate(s), 4) for s in r.timeline.segments for p in s.pauses], "s",
        "Durations of those pauses.", (Distribution("pause_s", "pause", "user"),),
    ),
    *DIRECTION_COLUMNS,
    Column(
        "agent_gaps_s", REALS, _gaps("agent"), "s",
        "From the end of the user's turn to the start of the agent's, which is on an 80 ms frame, at least the "
        "recipe's gap after both have fallen silent.",
        (Distribution("agent_gap_s", "agent's gap", "agent", (Aim("schedule.agent_gap_s"),), signed=True),),
    ),
    Column(
        "user_gaps_s", REALS, _gaps("user"), "s",
        "From the end of the agent's turn to the start of the user's. Negative for overlaps: barge-ins.",
        (
            Distribution(
                "user_gap_s", "user's gap", "user",
                (Aim("schedule.user_gap_s.low"), Aim("schedule.user_gap_s.high")),
                signed=True, least=0.0, left_out="without barge-ins",
            ),
        ),
    ),
    Column(
        "cut_offs_s", REALS, lambda r: [-_gap(*pair) for pair in _cuts(r)], "s",
        "From the user's onset in a barge-in to the agent's silence.",
        (Distribution("cut_off_s", "cut-off", "event", (Aim("schedule.barge_in.cut_off_s"),)),),
    ),
    Column(
        "words_lost", WHOLES, lambda r: [len(before.text_full.split()) - len(before.words) for before, _ in _cuts(r)],
        "words", "Words of the agent's turn that were cut off: written, but not heard.",
        (Distribution("words_lost_to_a_cut", "words lost to a cut-off", "event"),),
    ),
    Column(
        "turn_seconds", REALS, lambda r: [round(s.length / _rate(s), 4) for s in _turns(r)], "s",
        "Duration of each turn.", (Distribution("turn_s", "turn", "user"),),
    ),
    Column(
        "noise", TEXT, lambda r: r.noise.kind if r.noise else "", "",
        "The background noise on the user's channel; empty if there is none.",
        (Number("dialogues_with_noise", "dialogues with noise", lambda rows: int((rows["noise"] != "").sum())),),
    ),
    Column(
        "noise_snr_db", REAL, lambda r: round(r.noise.snr_db, 2) if r.noise else None, "dB",
        "Level of the user's speech relative to the background noise, if there is any.",
        (
            Distribution(
                "noise_snr_db", "speech relative to the noise", "user",
                (Aim("render.noise.snr_db_low"), Aim("render.noise.snr_db_high")), signed=True,
            ),
        ),
    ),
    Column(
        "noise_bursts", WHOLE, lambda r: len(r.noise.bursts) if r.noise else 0, "",
        "Short noises on the user's channel.", (Number("noise_bursts", "noise bursts", total),),
    ),
    *SOUND_COLUMNS,
    Column("agent_peak_dbfs", REAL, lambda r: _peak_dbfs(r.agent), "dBFS", "Peak level of the agent's channel."),
    Column("user_peak_dbfs", REAL, lambda r: _peak_dbfs(r.user), "dBFS", "Peak level of the user's channel."),
    Column(
        "clipped_share", REAL, _check("clipped"), "share",
        "Share of clipped speech samples in the worse channel.",
    ),
    Column(
        "edge_errors_s", REALS, _checks("edge_errors_s"), "s",
        "From a turn's labeled start or end to the start or end detected by a voice activity model.",
        (
            Distribution(
                "edge_error_s", "turn edge error", "agent",
                (Aim("verify.edge_frames", -FRAME_SECONDS), Aim("verify.edge_frames", FRAME_SECONDS)), signed=True,
            ),
        ),
    ),
    Column(
        "least_heard", REAL, _check("least_heard"), "share",
        "Detected share of a turn's labeled speech: the minimum of each dialogue.",
        (Distribution("least_heard", "speech detected", "event", (Aim("verify.heard"),)),),
    ),
    Column(
        "extra_speech_s", REAL, _check("extra_s"), "s",
        "The longest stretch of detected speech without a label.",
        (Distribution("extra_speech_s", "extra speech", "event", (Aim("verify.extra_s"),)),),
    ),
    Column(
        "user_wers", REALS, _checks("user_wers"), "WER", "Word error rate of a user's turn, by the recipe's recognizer.",
        (Distribution("user_wer", "user WER", "user", (Aim("verify.wer"),)),),
    ),
    Column(
        "agent_wers", REALS, _checks("agent_wers"), "WER", "Word error rate of an agent's turn, before the codec.",
        (Distribution("agent_wer", "agent WER", "agent", (Aim("verify.wer"),)),),
    ),
    Column(
        "coded_wers", REALS, _checks("coded_wers"), "WER", "Word error rate of the same turns after the codec.",
        (Distribution("coded_wer", "agent WER after the codec", "agent"),),
    ),
    Column(
        "word_times", TEXT, lambda r: ",".join(sorted({s.word_times for s in r.timeline.spoken.speech})), "",
        "How word times were found: engine, aligned or estimated.",
    ),
    Column(
        "recorded_turns", WHOLE,
        lambda r: sum(r.dialogue.turns[segment.turn].recording is not None for segment in r.timeline.segments), "",
        "Turns that are recordings rather than synthesized.",
        (Number("recorded_turns", "turns that are recordings", total),),
    ),
    LABELS,
    Column("seed", WHOLE, None, "", "The build's seed."),
    Column("recipe", TEXT, None, "", "The recipe's id, a hash."),
)  # fmt: skip
"""In the order of the table's columns and of the figures in the card and the report."""


def dialogue_row(record: DuplexDialogue) -> dict[str, Any]:
    """A dialogue's values in the manifest, without those that only the writer knows."""
    return {column.name: column.of(record) for column in COLUMNS if column.of}


def numbers() -> Iterator[tuple[Column, Number]]:
    return ((column, figure) for column in COLUMNS for figure in column.figures if isinstance(figure, Number))


def distributions() -> Iterator[tuple[Column, Distribution]]:
    return ((column, figure) for column in COLUMNS for figure in column.figures if isinstance(figure, Distribution))
