"""Which language a dialogue is in, by py3langid (Lui & Baldwin 2012, "langid.py"; 97 languages, a model of 4 MB in
the package)."""

from functools import cache
from typing import Any

LEAST_LETTERS = 12
"""A shorter text may be in any language."""
MOST_CHARACTERS = 2_000
"""This much of a text is enough to identify its language."""
LEAST_CHANCE = 0.002
"""A text with a lower probability for a language is in another one. Of 2 372 English dialogues, the lowest had 0.5; of
twenty short ones in other languages, the highest had 0.001."""


def other_language(text: str, language: str) -> str | None:
    """The ISO 639-1 code of a text's language if it is not `language`; None if it may be."""
    text = text[:MOST_CHARACTERS]
    if sum(map(str.isalpha, text)) < LEAST_LETTERS:
        return None
    chances = dict(_identifier().rank(text))
    return None if chances[language] >= LEAST_CHANCE else str(max(chances, key=lambda code: chances[code]))


def known(language: str) -> bool:
    return language in _identifier().labels


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
