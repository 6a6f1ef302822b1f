"""The text reader of a language: written text in, spoken words out."""

from stages.text.foreign import ForeignNormalizer
from stages.text.grammar import load_grammar
from stages.text.languages import ENGLISH
from stages.text.normalize import Normalizer


def reader(language: str) -> Normalizer:
    """The reader for an ISO 639-1 code."""
    return Normalizer() if language == ENGLISH else ForeignNormalizer(language, load_grammar(language))
