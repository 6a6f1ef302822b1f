"""What is known of a dialogue, and what becomes of it in a corpus: one entry a column of the manifest.

The Parquet table, the statistics in `corpus.json`, the card and the report iterate over `COLUMNS`: a figure more is
an entry more, here. Gaps are floor-transfer offsets between speakers, negative where they overlap."""

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
from manifests.pcm import FULL_SCALE
from manifests.records import ASIDES, DuplexDialogue, Segment, join_voices
from manifests.sound_columns import SOUND_COLUMNS
from manifests.text_columns import TEXT_COLUMNS

# How a dialogue gives a value. What `verify` did not look for is null or empty.


def _turns(record: DuplexDialogue) -> list[Segment]:
    return [segment for segment in record.timeline.segments if segment.event not in ASIDES]


def _rate(segment: Segment) -> int:
    return SOURCE_RATE if segment.speaker == "user" else TARGET_RATE


def _gap(before: Segment, after: Segment) -> float:
    return round(after.start / _rate(after) - before.end / _rate(before), 4)


def _gaps(speaker: str) -> Callable[[DuplexDialogue], list[float]]:
    """From the other speaker's end to each start of this one."""
    return lambda record: [
        _gap(before, after)
        for before, after in itertools.pairwise(_turns(record))
        if before.speaker != after.speaker == speaker
    ]


def _cuts(record: DuplexDialogue) -> Iterator[tuple[Segment, Segment]]:
    """Each turn that a barge-in cuts off, with the turn that does it."""
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


# How rows give a figure.


def _hours(rows: pd.DataFrame) -> float:
    return round(float(rows.sum().sum()) / 3600, 4)


def _long(rows: pd.DataFrame) -> pd.DataFrame:
    """Dialogues in which the user can interrupt: of three turns or more."""
    return rows[rows["turns"] >= 3]


def _share_with_barge_in(rows: pd.DataFrame) -> float | None:
    long = _long(rows)
    return round(some(long[["barge_ins"]]) / len(long), 4) if len(long) else None


def _distinct(rows: pd.DataFrame) -> int:
    return int(rows.iloc[:, 0].nunique())


COLUMNS = (
    Column("id", TEXT, lambda r: r.dialogue.id, "", "The dialogue's name, and its cut's."),
    Column(
        "split", TEXT, lambda r: r.dialogue.split, "", "train, validation or test.",
        (Number("dialogues", "dialogues", len, each_split=True, in_splits=True),),
    ),
    Column("shard", WHOLE, None, "", "The number of the shard that holds its cut, in its split's folder."),
    Column("source", TEXT, lambda r: r.dialogue.source, "", "The file that it was read from and the position there."),
    Column("frames", WHOLE, lambda r: r.timeline.frames, "frames", "How long it lasts, in frames of 80 ms."),
    Column(
        "duration_s", REAL, lambda r: round(r.timeline.frames * SOURCE_FRAME / SOURCE_RATE, 6), "s",
        "How long a dialogue lasts, silence included.",
        (Number("hours", "hours", _hours, in_splits=True), Distribution("dialogue_s", "dialogue", "user")),
    ),
    Column(
        "turns", WHOLE, lambda r: len(_turns(r)), "turns", "Turns of either speaker; asides are left out.",
        (
            Number("turns", "turns", total, in_splits=True),
            Number("dialogues_of_three_turns_or_more", "dialogues of three turns or more", lambda rows: len(_long(rows))),
        ),
    ),
    Column(
        "user_voice", TEXT, _voices("user"), "", "The user's voice; several are joined by commas.",
        (Number("user_voices", "user voices", _distinct, each_split=True, in_splits=True),),
    ),
    Column(
        "agent_voice", TEXT, _voices("agent"), "", "The agent's voice.",
        (Number("agent_voices", "", lambda rows: sorted(rows["agent_voice"].unique())),),
    ),
    Column(
        "user_speech_s", REAL, _speech_s("user"), "s", "How long the user is heard, all turns together.",
        (Number("user_speech_hours", "hours of user speech", _hours, in_splits=True),),
    ),
    Column(
        "agent_speech_s", REAL, _speech_s("agent"), "s", "How long the agent is heard, all turns together.",
        (Number("agent_speech_hours", "hours of agent speech", _hours, in_splits=True),),
    ),
    Column(
        "user_words", WHOLE, _words("user"), "words", "Words of the user that are heard whole.",
        (Number("words", "words heard", total, beside=("agent_words",), in_splits=True),),
    ),
    Column("agent_words", WHOLE, _words("agent"), "words", "Words of the agent that are heard whole."),
    Column(
        "barge_ins", WHOLE, lambda r: len(list(_cuts(r))), "", "How often the user interrupts and the agent falls silent.",
        (
            Number("barge_ins", "barge-ins", total, in_splits=True),
            Number("with_barge_in", "dialogues with a barge-in", some, in_splits=True),
            Number(
                "share_of_those_with_barge_in", "share with a barge-in, of dialogues of three turns or more",
                _share_with_barge_in, beside=("turns",),
            ),
        ),
    ),
    Column(
        "barge_ins_that_wait", WHOLE, _waiting, "",
        "Turns that a log or a director has barge in, and that wait, since the agent's turn before is too short to be cut.",
        (Number("barge_ins_that_wait", "barge-ins that found no room", total),),
    ),
    *EVENT_COLUMNS,
    *TEXT_COLUMNS,
    Column(
        "pauses", WHOLE, lambda r: sum(len(segment.pauses) for segment in r.timeline.segments), "",
        "Silences put into turns.", (Number("pauses", "pauses put into turns", total),),
    ),
    Column(
        "pauses_s", REALS, lambda r: [round(p.length / _rate(s), 4) for s in r.timeline.segments for p in s.pauses], "s",
        "How long those silences are.", (Distribution("pause_s", "pause", "user"),),
    ),
    *DIRECTION_COLUMNS,
    Column(
        "agent_gaps_s", REALS, _gaps("agent"), "s",
        "From the end of the user's turn to the start of the agent's, which falls on a frame of 80 ms, at least the "
        "recipe's silence after both have fallen silent.",
        (Distribution("agent_gap_s", "agent's gap", "agent", (Aim("schedule.agent_gap_s"),), signed=True),),
    ),
    Column(
        "user_gaps_s", REALS, _gaps("user"), "s",
        "From the end of the agent's turn to the start of the user's. Below zero both are heard at once: barge-ins.",
        (
            Distribution(
                "user_gap_s", "user's gap", "user",
                (Aim("schedule.user_gap_s.low"), Aim("schedule.user_gap_s.high")),
                signed=True, least=0.0, left_out="barge-ins left out",
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
        "words", "Words of the agent's turn that a cut-off took: written, and not heard.",
        (Distribution("words_lost_to_a_cut", "words lost to a cut-off", "event"),),
    ),
    Column(
        "turn_seconds", REALS, lambda r: [round(s.length / _rate(s), 4) for s in _turns(r)], "s",
        "How long a turn is heard.", (Distribution("turn_s", "turn", "user"),),
    ),
    Column(
        "noise", TEXT, lambda r: r.noise.kind if r.noise else "", "",
        "The background under the user's channel; empty if that is clean.",
        (Number("dialogues_with_noise", "dialogues with noise", lambda rows: int((rows["noise"] != "").sum())),),
    ),
    Column(
        "noise_snr_db", REAL, lambda r: round(r.noise.snr_db, 2) if r.noise else None, "dB",
        "Level of the user's speech above the background, where there is one.",
        (
            Distribution(
                "noise_snr_db", "speech above the noise", "user",
                (Aim("render.noise.snr_db_low"), Aim("render.noise.snr_db_high")), signed=True,
            ),
        ),
    ),
    Column(
        "noise_bursts", WHOLE, lambda r: len(r.noise.bursts) if r.noise else 0, "",
        "Short noises in the user's channel.", (Number("noise_bursts", "bursts of noise", total),),
    ),
    *SOUND_COLUMNS,
    Column("agent_peak_dbfs", REAL, lambda r: _peak_dbfs(r.agent), "dBFS", "The loudest sample of the agent's channel."),
    Column("user_peak_dbfs", REAL, lambda r: _peak_dbfs(r.user), "dBFS", "The loudest sample of the user's channel."),
    Column(
        "clipped_share", REAL, _check("clipped"), "share",
        "How much of the speech is cut off at a channel's extreme, in the worse channel.",
    ),
    Column(
        "edge_errors_s", REALS, _checks("edge_errors_s"), "s",
        "From where a turn's label starts or ends to where a voice activity model hears it start or end.",
        (
            Distribution(
                "edge_error_s", "edge of a turn, as heard", "agent",
                (Aim("verify.edge_frames", -FRAME_SECONDS), Aim("verify.edge_frames", FRAME_SECONDS)), signed=True,
            ),
        ),
    ),
    Column(
        "least_heard", REAL, _check("least_heard"), "share",
        "How much of a turn's labeled speech is heard as speech: the least of each dialogue.",
        (Distribution("least_heard", "speech heard", "event", (Aim("verify.heard"),)),),
    ),
    Column(
        "extra_speech_s", REAL, _check("extra_s"), "s",
        "The longest stretch of a dialogue in which speech is heard and no label has any.",
        (Distribution("extra_speech_s", "extra speech", "event", (Aim("verify.extra_s"),)),),
    ),
    Column(
        "user_wers", REALS, _checks("user_wers"), "WER", "Word error rate of a user's turn, by the recipe's recognizer.",
        (Distribution("user_wer", "user's words wrong", "user", (Aim("verify.wer"),)),),
    ),
    Column(
        "agent_wers", REALS, _checks("agent_wers"), "WER", "Word error rate of an agent's turn, before the codec.",
        (Distribution("agent_wer", "agent's words wrong", "agent", (Aim("verify.wer"),)),),
    ),
    Column(
        "coded_wers", REALS, _checks("coded_wers"), "WER", "Word error rate of the same turns, as the codec gives them back.",
        (Distribution("coded_wer", "agent's words wrong, after the codec", "agent"),),
    ),
    Column(
        "word_times", TEXT, lambda r: ",".join(sorted({s.word_times for s in r.timeline.spoken.speech})), "",
        "How the words' times were found: engine, aligned or estimated.",
    ),
    Column(
        "recorded_turns", WHOLE,
        lambda r: sum(r.dialogue.turns[segment.turn].recording is not None for segment in r.timeline.segments), "",
        "Turns that are recordings, in place of synthesis.",
        (Number("recorded_turns", "turns that are recordings", total),),
    ),
    Column("seed", WHOLE, None, "", "The build's seed."),
    Column("recipe", TEXT, None, "", "The recipe's name, a hash of it."),
)  # fmt: skip
"""In the order of the table's columns, which is that of the card's and the report's figures."""


def dialogue_row(record: DuplexDialogue) -> dict[str, Any]:
    """What the manifest says of a dialogue, without what its writer knows."""
    return {column.name: column.of(record) for column in COLUMNS if column.of}


def numbers() -> Iterator[tuple[Column, Number]]:
    return ((column, figure) for column in COLUMNS for figure in column.figures if isinstance(figure, Number))


def distributions() -> Iterator[tuple[Column, Distribution]]:
    return ((column, figure) for column in COLUMNS for figure in column.figures if isinstance(figure, Distribution))
