"""Phrases for added events, by language: one data file each, in `phrases/`."""

from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field

from stages.base import Settings

FOLDER = Path(__file__).parent / "phrases"

Texts = Annotated[tuple[str, ...], Field(min_length=1)]


class Phrases(Settings):
    """One language's phrases, as spoken."""

    backchannels: Texts
    side_talk: Texts
    go_on: Texts
    """What the user says between the parts of a long answer."""
    code: Texts
    table: Texts
    """What is said instead of a block of code or a table."""
    fillers: Texts
    reprompts: Texts
    waits: Texts
    stops: Texts
    resumes: Texts
    """What the user says to make the agent resume."""


def has_phrases(language: str) -> bool:
    return (FOLDER / f"{language}.yaml").exists()


@cache
def phrases(language: str) -> Phrases:
    """The phrases of a language, by its two-letter code; empty without a file."""
    if not has_phrases(language):
        return Phrases.model_construct(None, **dict.fromkeys(Phrases.model_fields, ()))
    return Phrases.model_validate(yaml.safe_load((FOLDER / f"{language}.yaml").read_text("utf-8")))
