"""The numbers of a corpus, computed from its Parquet rows: one source for `corpus.json`, the card and the report."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Rows = Sequence[dict[str, Any]]


def corpus_statistics(dialogues: Rows, rejected: Rows, read: int) -> dict[str, Any]:
    """Counts that add up to `read`, hours, timing quantiles. Times in seconds, rounded to the millisecond."""
    splits = Counter(row["split"] for row in dialogues)
    three_or_more = [row for row in dialogues if row["turns"] >= 3]
    with_barge_in = [row for row in three_or_more if row["barge_ins"]]
    return {
        "dialogues_read": read,
        "dialogues": {split: splits.get(split, 0) for split in ("train", "validation", "test")},
        "rejected": len(rejected),
        "rejected_by_reason": dict(sorted(Counter(f"{row['stage']}/{row['reason']}" for row in rejected).items())),
        "hours": round(sum(row["duration_s"] for row in dialogues) / 3600, 4),
        "user_speech_hours": round(sum(row["user_speech_s"] for row in dialogues) / 3600, 4),
        "agent_speech_hours": round(sum(row["agent_speech_s"] for row in dialogues) / 3600, 4),
        "turns": sum(row["turns"] for row in dialogues),
        "words": sum(row["user_words"] + row["agent_words"] for row in dialogues),
        "user_voices": {
            split: len({row["user_voice"] for row in dialogues if row["split"] == split})
            for split in ("train", "validation", "test")
        },
        "agent_voices": sorted({row["agent_voice"] for row in dialogues}),
        "barge_ins": sum(row["barge_ins"] for row in dialogues),
        "backchannels": sum(row["backchannels"] for row in dialogues),
        "pauses": sum(row["pauses"] for row in dialogues),
        "recorded_turns": sum(row["recorded_turns"] for row in dialogues),
        "dialogues_with_noise": sum(bool(row["noise"]) for row in dialogues),
        "dialogues_of_three_turns_or_more": len(three_or_more),
        "share_of_those_with_barge_in": round(len(with_barge_in) / len(three_or_more), 4) if three_or_more else None,
        "agent_gap_s": quantiles(_flatten(dialogues, "agent_gaps_s")),
        "user_gap_s": quantiles(gap for gap in _flatten(dialogues, "user_gaps_s") if gap >= 0),
        "cut_off_s": quantiles(_flatten(dialogues, "cut_offs_s")),
        "words_lost_to_a_cut": quantiles(_flatten(dialogues, "words_lost")),
        "turn_s": quantiles(_flatten(dialogues, "turn_seconds")),
        "edge_error_s": quantiles(_flatten(dialogues, "edge_errors_s")),
        "least_heard": quantiles(_known(dialogues, "least_heard")),
        "extra_speech_s": quantiles(_known(dialogues, "extra_speech_s")),
        "user_wer": quantiles(_flatten(dialogues, "user_wers")),
        "agent_wer": quantiles(_flatten(dialogues, "agent_wers")),
        "coded_wer": quantiles(_flatten(dialogues, "coded_wers")),
        "dialogue_s": quantiles(row["duration_s"] for row in dialogues),
    }


def quantiles(values: Iterable[float]) -> dict[str, float] | None:
    """Least, 10 %, median, mean, 90 % and greatest of the values; None where there are none."""
    array = np.asarray(list(values), dtype=np.float64)
    if not len(array):
        return None
    low, p10, median, p90, high = np.quantile(array, [0, 0.1, 0.5, 0.9, 1])
    named = {"min": low, "p10": p10, "median": median, "mean": array.mean(), "p90": p90, "max": high}
    return {"n": len(array)} | {name: round(float(value), 3) for name, value in named.items()}


def _flatten(rows: Rows, column: str) -> list[float]:
    return [value for row in rows for value in row[column]]


def _known(rows: Rows, column: str) -> list[float]:
    return [row[column] for row in rows if row[column] is not None]
