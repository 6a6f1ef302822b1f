"""A dialogue as a row of a list, from the manifest alone: its events, labels, voices and checks, and the filters over them.

The report and `salm-duplex browse` show the same rows and filter them in the same way.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from manifests.labels import MOST_VALUES, Label, json_member, shown
from manifests.records import SPLITS, join_voices, split_voices

EVENTS = {
    "barge_ins": "barge-in",
    "barge_ins_early": "early barge-in",
    "barge_ins_late": "late barge-in",
    "barge_ins_again": "repeated barge-in",
    "words_finished": "word finished",
    "waits": "wait",
    "stops": "stop",
    "resumed": "resumed turn",
    "backchannels": "backchannel",
    "agent_backchannels": "agent backchannel",
    "false_starts": "false start",
    "side_talks": "side talk",
    "reprompts": "reprompt",
    "pauses": "pause",
    "hesitations": "hesitation",
    "self_corrections": "self-correction",
    "recorded_turns": "recorded turn",
    "noise": "noise",
    "noise_bursts": "noise burst",
    "noise_recording": "recorded noise",
    "room": "room",
    "echo_gain": "echo",
    "microphone": "microphone",
    "level_range_db": "changing level",
    "telephone": "telephone",
    "codec": "user codec",
    "lost_packets": "lost packet",
}
"""Columns of the manifest, and the event or effect that a value there stands for."""


@dataclass(frozen=True, slots=True)
class Check:
    """A column with measurements of `verify`; `worst` says which end of its values is bad."""

    column: str
    title: str
    unit: str
    worst: str
    """`greatest` (by absolute value) or `least`."""

    @property
    def bound(self) -> str:
        return "at least" if self.worst == "greatest" else "at most"


CHECKS = (
    Check("least_heard", "speech detected", "", "least"),
    Check("edge_errors_s", "turn edge error", "s", "greatest"),
    Check("extra_speech_s", "extra speech", "s", "greatest"),
    Check("user_wers", "user WER", "", "greatest"),
    Check("agent_wers", "agent WER", "", "greatest"),
    Check("coded_wers", "agent WER after the codec", "", "greatest"),
    Check("clipped_share", "clipped samples", "", "greatest"),
)
CHECK = {check.column: check for check in CHECKS}

_SHOWN = ("id", "split", "shard", "source", "duration_s", "turns", "user_voice", "agent_voice", "labels")
ROW_COLUMNS = (*_SHOWN, *EVENTS, *CHECK)
"""The columns needed for a `Row`."""

MOST_VOICES = 500
"""With more voices than this, there is no voice filter; the search finds voices by name."""


@dataclass(frozen=True, slots=True)
class Row:
    """A dialogue in a list. `events` has counts by column, 1 for columns without counts; `checks` has the worst values."""

    id: str
    split: str
    source: str
    duration_s: float
    turns: int
    user_voices: tuple[str, ...]
    agent_voices: tuple[str, ...]
    events: Mapping[str, int]
    checks: Mapping[str, float]
    labels: Mapping[str, Label]

    @property
    def facts(self) -> dict[str, Any]:
        """The values by which the report's script filters."""
        return {
            "text": " ".join((self.id, self.source, *self.user_voices, *self.agent_voices)).lower(),
            "split": self.split,
            "voices": [*self.user_voices, *self.agent_voices],
            "events": [*self.events],
            "labels": [json_member(name, value) for name, value in self.labels.items()],
            "checks": self.checks,
        }


@dataclass(frozen=True, slots=True)
class Query:
    """The filters of a list; empty fields are ignored. `label` is a member of the column's JSON, `bound` is in the
    check's unit."""

    text: str = ""
    split: str = ""
    event: str = ""
    label: str = ""
    voice: str = ""
    check: str = ""
    bound: float | None = None

    def columns(self) -> list[str]:
        """The manifest's columns that the query needs."""
        text = ["id", "source", "user_voice", "agent_voice"] if self.text else []
        voice = ["user_voice", "agent_voice"] if self.voice else []
        label = ["labels"] if self.label else []
        asked = [*text, *(["split"] if self.split else []), *voice, self.event, *label, self.check]
        return [*dict.fromkeys(name for name in asked if name)]

    def matches(self, rows: pd.DataFrame) -> "pd.Series[bool]":
        """A mask of the rows that match."""
        kept = pd.Series(True, index=rows.index)
        if self.text:
            named = [rows[name].str.contains(self.text, case=False, regex=False) for name in self.columns()[:4]]
            kept &= pd.concat([one.fillna(False).astype(bool) for one in named], axis=1).any(axis=1)
        if self.split:
            kept &= rows["split"].eq(self.split).fillna(False).astype(bool)
        if self.voice:
            kept &= _speaks(rows["user_voice"], self.voice) | _speaks(rows["agent_voice"], self.voice)
        if self.event:
            kept &= occurs(rows[self.event])
        if self.label:  # quotes inside a name or value are escaped, so only the member itself matches
            kept &= rows["labels"].str.contains(self.label, regex=False).fillna(False).astype(bool)
        if self.check:
            values = worst(rows[self.check], CHECK[self.check])
            if self.bound is None:
                kept &= values.notna()
            else:
                kept &= values >= self.bound if CHECK[self.check].worst == "greatest" else values <= self.bound
        return kept


@dataclass(frozen=True, slots=True)
class Choices:
    """The filter options of a corpus: only those that occur. `voices` is empty if there are too many."""

    splits: tuple[str, ...]
    events: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    """Boolean and text values, for `Query.label`, with titles; none of a label with many values."""
    voices: tuple[str, ...]
    checks: tuple[Check, ...]


CHOICE_COLUMNS = ("split", "labels", "user_voice", "agent_voice", *EVENTS, *CHECK)
"""The columns needed for `choices`."""


def choices(parts: Iterable[pd.DataFrame]) -> Choices:
    """The filter options of a table, given in parts."""
    splits: set[str] = set()
    events: set[str] = set()
    checks: set[str] = set()
    joined: set[str] = set()
    values: defaultdict[str, set[Label]] = defaultdict(set)
    for rows in parts:
        splits |= set(rows["split"].unique())
        events |= {name for name in EVENTS if name not in events and occurs(rows[name]).any()}
        checks |= {name for name in CHECK if name not in checks and worst(rows[name], CHECK[name]).notna().any()}
        for text in rows["labels"].dropna().unique():
            for name, value in json.loads(text).items():
                if isinstance(value, bool | str) and len(values[name]) <= MOST_VALUES:
                    values[name].add(value)
        if len(joined) <= MOST_VOICES:
            joined |= set(rows["user_voice"].dropna().unique()) | set(rows["agent_voice"].dropna().unique())
    voices = sorted({voice for own in joined for voice in split_voices(own)})
    return Choices(
        tuple(split for split in SPLITS if split in splits),
        tuple((name, title) for name, title in EVENTS.items() if name in events),
        tuple(
            (json_member(name, value), f"{name}: {shown(value)}")
            for name in sorted(values)
            for value in sorted(values[name], key=shown)
            if len(values[name]) <= MOST_VALUES
        ),
        tuple(voices) if len(joined) <= MOST_VOICES else (),
        tuple(check for check in CHECKS if check.column in checks),
    )


def rows_of(table: pd.DataFrame) -> list[Row]:
    """The rows of a table with `ROW_COLUMNS`."""
    found = pd.DataFrame({name: worst(table[name], check) for name, check in CHECK.items()})
    return [
        Row(
            id=row["id"],
            split=row["split"],
            source=row["source"] or "",
            duration_s=row["duration_s"],
            turns=row["turns"],
            user_voices=tuple(split_voices(row["user_voice"] or "")),
            agent_voices=tuple(split_voices(row["agent_voice"] or "")),
            events={name: number for name in EVENTS if (number := _count(row[name]))},
            checks={str(name): round(value, 4) for name, value in checks.items() if value == value},
            labels=json.loads(row["labels"] or "{}"),
        )
        for row, checks in zip(_plain(table), found.to_dict("records"), strict=True)
    ]


def occurs(values: "pd.Series[Any]") -> "pd.Series[bool]":
    """A mask of the rows in which a column of `EVENTS` has a number above zero, a name, or any measurement."""
    if pd.api.types.is_integer_dtype(values.dtype):
        return values.gt(0).fillna(False).astype(bool)
    if pd.api.types.is_float_dtype(values.dtype):
        return values.notna()
    return values.ne("").fillna(False).astype(bool)


def worst(values: "pd.Series[Any]", check: Check) -> "pd.Series[float]":
    """Each row's worst value in a column of numbers or lists of numbers; NaN without measurements."""
    if not pd.api.types.is_float_dtype(values.dtype):
        values = pd.Series(values.to_numpy(dtype=object), index=values.index).explode()
    numbers = values.astype("Float64").astype(float).abs().groupby(level=0)
    return numbers.max() if check.worst == "greatest" else numbers.min()


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows, with None for missing values."""
    return table.astype(object).where(table.notna(), None).to_dict("records")  # type: ignore[return-value]


def _count(value: Any) -> int:
    return value if isinstance(value, int) else int(value not in (None, ""))


def _speaks(joined: "pd.Series[Any]", voice: str) -> "pd.Series[bool]":
    named = ("," + joined + ",").str.contains(f",{join_voices([voice])},", regex=False)
    return named.fillna(False).astype(bool)
