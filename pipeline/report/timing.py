"""The targets of a timing profile next to a corpus's figures."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from manifests.corpus import Corpus
from manifests.errors import RequestError
from stages.timing.profile import STEPS, load_profile
from stages.timing.settings import PAPER

QUARTILES = (0.25, 0.5, 0.75)


class Row(NamedTuple):
    """One figure: the profile's and the corpus's values, in the same order."""

    title: str
    target: tuple[float, ...]
    actual: tuple[float, ...]
    n: int


def timing_rows(corpus: Corpus) -> list[Row]:
    """Quartiles in seconds, the share of overlaps, and rates per minute; empty if the corpus has no profile, or its
    file is unavailable.

    Barge-ins have their own rules and are not included.
    """
    recipe: dict[str, Any] = corpus.info["identity"]["recipe"]
    settings = recipe.get("schedule", {})
    try:
        profile = load_profile(settings["profile"]) if settings.get("profile", PAPER) != PAPER else None
    except RequestError:
        return []
    if profile is None:
        return []
    rows = corpus.dialogues.read(
        "user_gaps_s",
        "agent_gaps_s",
        "cut_offs_s",
        "pauses_s",
        "backchannels",
        "false_starts",
        "duration_s",
        "user_speech_s",
        "agent_speech_s",
    )
    user = [
        gap for own, cuts in zip(rows["user_gaps_s"], rows["cut_offs_s"], strict=True) for gap in _without(own, cuts)
    ]
    agent = [gap for own in rows["agent_gaps_s"] for gap in own]
    both = user + agent if settings.get("agent_overlaps") else user
    gaps, overlaps = ([gap for gap in user + agent if gap >= 0], [-gap for gap in both if gap < 0])
    pauses = [pause for own in rows["pauses_s"] for pause in own]
    found = [
        _row("gap", profile.gap_s, gaps),
        _row("overlap", profile.overlap_s, overlaps),
        _row("pause", profile.pause_s, pauses),
    ]
    if both:
        found.append(Row("share of overlaps", (profile.overlap_share,), (len(overlaps) / len(both),), len(both)))
    user_s, agent_s, total_s = (float(rows[name].sum()) for name in ("user_speech_s", "agent_speech_s", "duration_s"))
    who, heard_s = ("", user_s + agent_s) if settings.get("agent_pauses") else ("the user's ", user_s)
    spoken_s = heard_s - sum(pauses)
    contained = int(rows["backchannels"].sum() + rows["false_starts"].sum())
    return [
        *(row for row in found if row.n),
        _a_minute(f"pauses per minute of {who}speech", profile.pauses_per_minute, len(pauses), spoken_s),
        _a_minute("backchannels and false starts per minute", profile.contained_per_minute, contained, total_s),
    ]


def _a_minute(title: str, target: float, number: int, seconds: float) -> Row:
    return Row(title, (target,), (60 * number / seconds,) if seconds else (), number)


def _row(title: str, quantiles: Sequence[float], values: Sequence[float]) -> Row:
    target = tuple(quantiles[round(share * STEPS)] for share in QUARTILES)
    return Row(title, target, tuple(map(float, np.quantile(values, QUARTILES))) if values else (), len(values))


def _without(gaps: Sequence[float], cuts: Sequence[float]) -> list[float]:
    left = Counter(round(-cut, 4) for cut in cuts)
    kept = []
    for gap in gaps:
        if left[round(gap, 4)] > 0:
            left[round(gap, 4)] -= 1
        else:
            kept.append(float(gap))
    return kept
