"""The words of a text, for comparing transcripts and texts."""

import re
import unicodedata

SENTENCE_END = (".", "?", "!")
"""The marks after the last word of a spoken sentence."""


def words_of(text: str) -> list[str]:
    """Words without case and punctuation, in one Unicode form; apostrophes within words are kept."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return re.findall(r"\w+(?:'\w+)*", folded)
