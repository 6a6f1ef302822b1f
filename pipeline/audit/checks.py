"""What else can reveal an event (the user's level, the voice, the split), and whether labels match the audio."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from lhotse import MonoCut, SupervisionSegment

from manifests.frames import FRAME_SECONDS, SOURCE_RATE, TARGET_RATE
from manifests.sound import EFFECTS
from pipeline.audit.features import script_of
from salm_duplex_model.evaluation.bootstrap import Figure, figure, mean

SOUND = 10 ** (-55 / 20)
"""Fraction of full scale above which a clean channel has sound."""
EDGE_S = 2 * FRAME_SECONDS
LEAST = 5
"""A voice or split with fewer dialogues than this is not counted separately."""
CHANCE = 0.001
"""Significance level of the chi-squared test."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known of a dialogue before its first interruption, and whether there is one."""

    script: str
    level_dbfs: float
    interrupted: bool


def observe(cut: MonoCut) -> Observation | None:
    """The level of the user's speech before the interruption, or of all of it; None if there is none."""
    interruptions = [s.start for s in cut.supervisions if s.custom["event"] == "barge_in"]
    first = min(interruptions, default=cut.duration)
    own = [s for s in cut.supervisions if s.speaker == "user" and s.end <= first]
    if not own:
        return None
    audio = cut.load_audio()[0].astype(np.float64)
    speech = np.concatenate([audio[round(s.start * SOURCE_RATE) : round(s.end * SOURCE_RATE)] for s in own])
    power = float(np.mean(np.square(speech)))
    return Observation(script_of(cut.id), 10 * np.log10(power), bool(interruptions)) if power else None


def level_auc(dialogues: Sequence[Observation]) -> Figure:
    """The area under the ROC curve of "louder dialogues are interrupted", resampled by script: 0.5 if level reveals
    nothing."""
    if len({one.interrupted for one in dialogues}) < 2:
        return Figure(None, len(dialogues), None)
    ranks = np.argsort(np.argsort([one.level_dbfs for one in dialogues])) * 256 // len(dialogues)
    numbers = {script: number for number, script in enumerate(dict.fromkeys(one.script for one in dialogues))}
    who = np.array([numbers[one.script] for one in dialogues])
    kinds = np.array([int(one.interrupted) for one in dialogues])
    sums = np.zeros((len(numbers), 2, 256))
    np.add.at(sums, (who, kinds, ranks), 1)

    def area(drawn: np.ndarray) -> np.ndarray:
        return area_under_curve(drawn.reshape(*drawn.shape[:-1], 2, 256))

    return figure(sums.reshape(len(numbers), -1), area, np.bincount(who))


def area_under_curve(counts: np.ndarray) -> np.ndarray:
    """Counts (…, 2, ranks) of negatives and positives → the area under their ROC curve (…,); NaN without either."""
    negative, positive = counts[..., 0, :], counts[..., 1, :]
    below = np.cumsum(negative, axis=-1) - negative / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((positive * below).sum(-1) / (positive.sum(-1) * negative.sum(-1)))


def uneven(rows: pd.DataFrame, by: str, event: str) -> float | None:
    """The p-value for an uneven spread of dialogues with `event` over `by` (chi-squared test); None with too little data."""
    from scipy.stats import chi2_contingency

    table = pd.crosstab(rows[by], rows[event] > 0)
    table = table[table.sum(axis=1) >= LEAST]
    if table.shape[0] < 2 or table.shape[1] < 2 or (table.sum() == 0).any():
        return None
    return float(chi2_contingency(table).pvalue)


def edges_agree(errors: Sequence[Sequence[float]]) -> Figure:
    """The share of edges within two frames of their label, from each dialogue's `edge_errors`."""
    return mean([[float(error <= EDGE_S) for error in own] for own in errors])


def edge_errors(cut: MonoCut) -> list[float]:
    """The distance, in seconds, of each turn's edges from where sound begins and ends, in a clean channel."""
    errors: list[float] = []
    channels = {"agent": (cut.load_target_audio()[0], TARGET_RATE)}
    if not {"noise", *EFFECTS} & (cut.custom or {}).keys():
        channels["user"] = (cut.load_audio()[0], SOURCE_RATE)
    for speaker, (audio, rate) in channels.items():
        own = [s for s in cut.supervisions if s.speaker == speaker]
        sounds = np.flatnonzero(np.abs(audio) > SOUND) / rate
        for turn, (low, high) in zip(own, _surroundings(own, cut.duration), strict=True):
            mine = sounds[(sounds >= low) & (sounds < high)]
            errors += [abs(mine[0] - turn.start), abs(mine[-1] - turn.end)] if len(mine) else [np.inf, np.inf]
    return errors


def _surroundings(turns: Sequence[SupervisionSegment], duration: float) -> list[tuple[float, float]]:
    """For each of a speaker's turns, the time span closer to it than to its neighbors."""
    middles = [(a.end + b.start) / 2 for a, b in itertools.pairwise(turns)]
    return list(itertools.pairwise([0.0, *middles, duration])) if turns else []
