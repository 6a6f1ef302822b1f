"""The recipe's targets next to the corpus's figures."""

from typing import Any, NamedTuple

import pandas as pd

from manifests.columns import distributions
from manifests.corpus import Corpus
from manifests.figures import Aim, Column, Distribution
from pipeline.report.listing import occurs
from stages.timing.settings import PAPER

SHARES = {
    "schedule.barge_in.share": ("dialogues with a barge-in, of those with three or more turns", ("barge_ins",)),
    "speak.backchannel.share": ("dialogues with a backchannel", ("backchannels",)),
    "speak.agent_backchannel.share": ("dialogues with a backchannel of the agent", ("agent_backchannels",)),
    "speak.false_start.share": ("dialogues with a false start", ("false_starts",)),
    "speak.side_talk.share": ("dialogues with side talk", ("side_talks",)),
    "speak.reprompt.share": ("dialogues with a reprompt", ("reprompts",)),
    "speak.hold.share": ('dialogues with "wait" or "stop"', ("waits", "stops")),
    "schedule.pause.share": ("dialogues with pauses inside turns", ("pauses",)),
    "render.room.share": ("dialogues in a room", ("room",)),
    "render.echo.share": ("dialogues with an echo of the agent", ("echo_gain",)),
    "render.noise.share": ("dialogues with noise", ("noise",)),
    "render.noise_recordings.share": ("dialogues with recorded noise", ("noise_recording",)),
    "render.microphone.share": ("dialogues through a band-limited microphone", ("microphone",)),
    "render.level_changes.share": ("dialogues with a changing level", ("level_range_db",)),
    "render.telephone.share": ("dialogues by telephone", ("telephone",)),
    "render.codec.share": ("dialogues through a codec", ("codec",)),
    "render.packet_loss.share": ("dialogues with lost packets", ("lost_packets",)),
}
"""By setting: a title, and the columns of which at least one has a value if the setting was applied to a dialogue."""

OF_BARGE_INS = {
    "schedule.barge_in.early": (
        "barge-ins placed early; the corpus also counts those that are early by chance",
        "barge_ins_early",
    ),
    "schedule.barge_in.late": ("barge-ins placed late; likewise", "barge_ins_late"),
    "schedule.barge_in.finish_word": ("barge-ins after which the agent finishes its word", "words_finished"),
}

OF_NO_PROFILE = ("schedule.agent_gap_s", "schedule.user_gap_s", "schedule.pause.share")
"""Settings replaced by a timing profile, which `timing.py` shows."""


class Target(NamedTuple):
    """A figure as text: the recipe's target and the corpus's value, over `n` values."""

    title: str
    recipe: str
    corpus: str
    n: int


def targets(corpus: Corpus) -> list[Target]:
    """Shares, then distributions, without those that neither the recipe sets nor the corpus has."""
    recipe = corpus.info["identity"]["recipe"]
    names = {name for _, columns in SHARES.values() for name in columns} | {name for _, name in OF_BARGE_INS.values()}
    rows = corpus.dialogues.read("turns", *sorted(names))
    return [*_shares(recipe, rows), *_spreads(recipe, corpus.info["statistics"])]


def _shares(recipe: dict[str, Any], rows: pd.DataFrame) -> list[Target]:
    found = []
    for setting, (title, columns) in SHARES.items():
        own = rows[rows["turns"] >= 3] if setting == "schedule.barge_in.share" else rows
        has = pd.concat([occurs(own[name]) for name in columns], axis=1).any(axis=1)
        found.append(_share(recipe, setting, title, int(has.sum()), len(own)))
    barge_ins = int(rows["barge_ins"].sum())
    for setting, (title, name) in OF_BARGE_INS.items():
        if setting_of(recipe, setting):
            found.append(_share(recipe, setting, title, int(rows[name].sum()), barge_ins))
    return [target for target in found if target]


def _share(recipe: dict[str, Any], setting: str, title: str, number: int, of: int) -> Target | None:
    wanted = setting_of(recipe, setting)
    if not of or wanted is None or (not wanted and not number):
        return None
    return Target(title, f"{100 * wanted:g} %", f"{100 * number / of:.1f} %", of)


def _spreads(recipe: dict[str, Any], statistics: dict[str, Any]) -> list[Target]:
    return [
        _spread(column, figure, marks, values)
        for column, figure in distributions()
        if (values := statistics.get(figure.key)) and (marks := marks_of(recipe, figure))
    ]


def _spread(column: Column, figure: Distribution, marks: tuple[float, ...], values: dict[str, Any]) -> Target:
    unit = f" {column.unit}" if column.unit in ("s", "dB") else ""
    within = f"{values['median']:g}{unit} ({values['p10']:g} to {values['p90']:g})"
    return Target(
        f"{figure.counted}, median (80 % between)", " to ".join(f"{m:g}" for m in marks) + unit, within, values["n"]
    )


def marks_of(recipe: dict[str, Any], figure: Distribution) -> tuple[float, ...]:
    """The recipe's numbers for a distribution, in its unit."""
    return tuple(mark for aim in figure.aims if (mark := _mark(recipe, aim)) is not None)


def _mark(recipe: dict[str, Any], aim: Aim) -> float | None:
    value = setting_of(recipe, aim.setting)
    return None if value is None else value * aim.times


def setting_of(recipe: Any, setting: str) -> float | None:
    """A number of the recipe; None if a custom stage does not have the setting or a timing profile replaces it."""
    if setting.startswith(OF_NO_PROFILE) and recipe.get("schedule", {}).get("profile", PAPER) != PAPER:
        return None
    for key in setting.split("."):
        recipe = recipe.get(key) if isinstance(recipe, dict) else None
    return recipe if isinstance(recipe, int | float) else None
