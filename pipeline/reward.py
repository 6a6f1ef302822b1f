"""`salm-duplex reward`: from the command line to `salm_duplex_model.reward.trainer`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.errors import RequestError
from manifests.frames import FRAME_SECONDS
from manifests.identity import digest
from manifests.progress import Progress
from pipeline.evaluate import TestSet, open_sets
from pipeline.overrides import overridden
from pipeline.recipe import validated
from salm_duplex_model.evaluation.play import frames_played
from salm_duplex_model.reward.settings import RewardSettings
from salm_duplex_model.reward.trainer import train
from salm_duplex_model.session import CONTEXT_FRAMES


@dataclass(frozen=True, slots=True)
class Request:
    """Which agent to train, on which scenes, and how."""

    run: Path
    corpora: Sequence[str]
    out: Path
    settings: RewardSettings
    split: str = "validation"
    limit: int | None = None


def load_settings(overrides: Sequence[str], **given: int | None) -> RewardSettings:
    """The settings with `key=value` overrides and the values of options that are not None; raises `RequestError`."""
    chosen = {name: value for name, value in given.items() if value is not None}
    example = "--set learning_rate=0.00001"
    return validated("", RewardSettings, overridden({}, overrides, example=example) | chosen, "reward configuration")


def reward(request: Request, progress: Progress) -> list[dict[str, Any]]:
    """Train a run's agent by rewards, or resume; returns the rows of the new run's log."""
    sets = open_sets(request.corpora, request.split, request.limit)
    for one in sets:
        _check(one)
    corpora = [(_identity(one), one.cuts) for one in sets]
    return train(request.run, corpora, request.out, request.settings, progress)


def _identity(one: TestSet) -> str:
    return digest({"corpus": one.corpus.info["identity"], "split": one.split, "dialogues": len(one.cuts)})


def _check(one: TestSet) -> None:
    """Dialogues must fit in a session's context, beyond which it differs from an offline pass."""
    for cut, frames in zip(one.cuts, frames_played(one.cuts), strict=True):
        if frames > CONTEXT_FRAMES:
            raise RequestError(
                f"The dialogue {cut.id} of {one.corpus.url} takes {frames * FRAME_SECONDS:.0f} s with its tail, more than "
                f"the {CONTEXT_FRAMES * FRAME_SECONDS:.0f} s that a session remembers; name corpora of shorter dialogues."
            )
