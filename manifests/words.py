"""The words of a text, for comparing what was said with what was heard or written elsewhere."""

import re
import unicodedata

SENTENCE_END = (".", "?", "!")
"""The marks on the last word of a spoken sentence."""


def words_of(text: str) -> list[str]:
    """Words without case and punctuation, in one Unicode form; an apostrophe within a word stays."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return re.findall(r"\w+(?:'\w+)*", folded)
