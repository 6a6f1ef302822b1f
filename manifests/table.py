"""The corpus's Parquet tables: one row per dialogue kept, one per dialogue rejected."""

import itertools
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from manifests.frames import SOURCE_FRAME, SOURCE_RATE, TARGET_RATE
from manifests.records import DuplexDialogue, Rejected, Segment

DIALOGUES = pa.schema(
    [
        ("id", pa.string()),
        ("split", pa.string()),
        ("source", pa.string()),
        ("frames", pa.int64()),
        ("duration_s", pa.float64()),
        ("turns", pa.int64()),
        ("user_voice", pa.string()),
        ("agent_voice", pa.string()),
        ("user_speech_s", pa.float64()),
        ("agent_speech_s", pa.float64()),
        ("user_words", pa.int64()),
        ("agent_words", pa.int64()),
        ("barge_ins", pa.int64()),
        ("backchannels", pa.int64()),
        ("pauses", pa.int64()),
        ("noise", pa.string()),
        ("agent_gaps_s", pa.list_(pa.float64())),
        ("user_gaps_s", pa.list_(pa.float64())),
        ("cut_offs_s", pa.list_(pa.float64())),
        ("words_lost", pa.list_(pa.int64())),
        ("turn_seconds", pa.list_(pa.float64())),
        ("agent_peak_dbfs", pa.float64()),
        ("user_peak_dbfs", pa.float64()),
        ("clipped_share", pa.float64()),
        ("edge_errors_s", pa.list_(pa.float64())),
        ("least_heard", pa.float64()),
        ("extra_speech_s", pa.float64()),
        ("user_wers", pa.list_(pa.float64())),
        ("agent_wers", pa.list_(pa.float64())),
        ("coded_wers", pa.list_(pa.float64())),
        ("word_times", pa.string()),
        ("recorded_turns", pa.int64()),
        ("seed", pa.int64()),
        ("recipe", pa.string()),
    ]
)
REJECTED = pa.schema([(field.name, pa.string()) for field in fields(Rejected)])

ROWS_TOGETHER = 4_096
"""Rows of a row group: what a `TableWriter` holds in memory, and the least that a reader reads."""


def write_dialogues(path: Path, records: Iterable[DuplexDialogue], provenance: dict[str, Any]) -> None:
    write_table(path, [dialogue_row(record) | provenance for record in records], DIALOGUES)


def write_rejected(path: Path, rejected: Iterable[Rejected]) -> None:
    write_table(path, [asdict(one) for one in rejected], REJECTED)


def write_table(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    with TableWriter(path, schema) as table:
        table.add_rows(rows)


class TableWriter:
    """One Parquet file out of many small ones, row after row in the order of adding, in flat memory.

    The same rows give the same bytes, however they were spread over the small files. `sink` is a path or a binary file.
    """

    def __init__(self, sink: Path | BinaryIO, schema: pa.Schema) -> None:
        self._file = pq.ParquetWriter(sink, schema, compression="zstd")
        self._schema = schema
        self._waiting: list[pa.Table] = []

    def __enter__(self) -> "TableWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._write(ends=True)
        self._file.close()

    def add(self, table: Path | bytes) -> None:
        """Append the rows of a Parquet file, at a path or as its bytes."""
        source = pa.BufferReader(table) if isinstance(table, bytes) else table
        self._append(pq.ParquetFile(source).read())

    def add_rows(self, rows: list[dict[str, Any]]) -> None:
        self._append(pa.Table.from_pylist(rows, schema=self._schema))

    def _append(self, rows: pa.Table) -> None:
        self._waiting.append(rows.select(self._schema.names).cast(self._schema))
        if sum(len(table) for table in self._waiting) >= ROWS_TOGETHER:
            self._write(ends=False)

    def _write(self, ends: bool) -> None:
        rows = pa.concat_tables([self._schema.empty_table(), *self._waiting])
        whole = len(rows) if ends else len(rows) - len(rows) % ROWS_TOGETHER
        for start in range(0, whole, ROWS_TOGETHER):
            # In one piece: where a column's chunks end would show in the bytes.
            self._file.write_table(rows.slice(start, min(ROWS_TOGETHER, whole - start)).combine_chunks())
        self._waiting = [rows.slice(whole)]


def read_table(path: Path) -> list[dict[str, Any]]:
    """All rows of a Parquet file, or of a folder's Parquet files in the order of their names."""
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def dialogue_row(record: DuplexDialogue) -> dict[str, Any]:
    """What the manifest says of a dialogue. Gaps are floor-transfer offsets between speakers, negative where they overlap;
    `cut_offs_s` runs from the user's onset to the agent's silence. What `verify` did not look for is null or empty."""
    dialogue, segments, checks = record.dialogue, record.timeline.segments, record.checks
    gaps: dict[str, list[float]] = {"user": [], "agent": []}
    cut_offs, lost = [], []
    turns = [segment for segment in segments if segment.event != "backchannel"]
    for before, after in itertools.pairwise(turns):
        if before.speaker != after.speaker:
            gaps[after.speaker].append(_gap(before, after))
        if after.event == "barge_in":
            cut_offs.append(-_gap(before, after))
            lost.append(len(before.text_full.split()) - len(before.words))
    return {
        "id": dialogue.id,
        "split": dialogue.split,
        "source": dialogue.source,
        "frames": record.timeline.frames,
        "duration_s": round(record.timeline.frames * SOURCE_FRAME / SOURCE_RATE, 6),
        "turns": len(turns),
        "user_voice": _voices(record, "user"),
        "agent_voice": _voices(record, "agent"),
        "user_speech_s": _speech_s(segments, "user"),
        "agent_speech_s": _speech_s(segments, "agent"),
        "user_words": sum(len(s.words) for s in segments if s.speaker == "user"),
        "agent_words": sum(len(s.words) for s in segments if s.speaker == "agent"),
        "barge_ins": len(cut_offs),
        "backchannels": len(segments) - len(turns),
        "pauses": sum(len(segment.pauses) for segment in segments),
        "noise": record.noise,
        "agent_gaps_s": gaps["agent"],
        "user_gaps_s": gaps["user"],
        "cut_offs_s": cut_offs,
        "words_lost": lost,
        "turn_seconds": [round(s.length / _rate(s), 4) for s in turns],
        "agent_peak_dbfs": _peak_dbfs(record.agent),
        "user_peak_dbfs": _peak_dbfs(record.user),
        "recorded_turns": sum(dialogue.turns[segment.turn].recording is not None for segment in segments),
        "clipped_share": checks.clipped if checks else None,
        "edge_errors_s": list(checks.edge_errors_s) if checks else [],
        "least_heard": checks.least_heard if checks else None,
        "extra_speech_s": checks.extra_s if checks else None,
        "user_wers": list(checks.user_wers) if checks else [],
        "agent_wers": list(checks.agent_wers) if checks else [],
        "coded_wers": list(checks.coded_wers) if checks else [],
        "word_times": ",".join(sorted({speech.word_times for speech in record.timeline.spoken.speech})),
    }


def _rate(segment: Segment) -> int:
    return SOURCE_RATE if segment.speaker == "user" else TARGET_RATE


def _gap(before: Segment, after: Segment) -> float:
    return round(after.start / _rate(after) - before.end / _rate(before), 4)


def _voices(record: DuplexDialogue, speaker: str) -> str:
    return ",".join(sorted({t.voice for t in record.dialogue.turns if t.speaker == speaker}))


def _speech_s(segments: tuple[Segment, ...], speaker: str) -> float:
    return round(sum(s.length / _rate(s) for s in segments if s.speaker == speaker), 4)


def _peak_dbfs(samples: np.ndarray) -> float:
    peak = int(np.abs(samples.astype(np.int32)).max(initial=0))
    return round(float(20 * np.log10(max(peak, 1) / 32768)), 2)
