"""A text as eSpeak NG's phonemes, through `kokoro-onnx`, and the first phoneme of each word."""

import atexit
import shutil
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import espeakng_loader
from rapidfuzz.distance import Levenshtein

HUMS = {"mm": "ˈmm", "hm": "hˈm", "hmm": "hˈm", "mhm": "mhˈm", "mm-hm": "mhˈm", "mm-hmm": "mhˈm"}
"""Words that eSpeak NG would spell out."""
_MARKS = frozenset(';:,.!?—…"()“”')


def phonemes_of(text: str, accent: str) -> str:
    """Phonemes in Kokoro's vocabulary, with punctuation; words are separated by spaces, but eSpeak NG joins some ("of
    the")."""
    pieces: list[str] = []
    plain: list[str] = []
    for token in text.split():
        word = token.strip(".,!?;:").lower()
        if word in HUMS:
            pieces += [_phonemized(" ".join(plain), accent)] if plain else []
            pieces.append(HUMS[word] + token[len(token.rstrip(".,!?;:")) :])
            plain = []
        else:
            plain.append(token)
    pieces += [_phonemized(" ".join(plain), accent)] if plain else []
    return " ".join(" ".join(pieces).split())


def word_places(text: str, phonemes: str, accent: str) -> dict[int, int]:
    """{token index: index of its first phoneme, not counting spaces}, for each token of the text with phonemes.

    If eSpeak NG joins words, each word's phonemes are determined separately, and their best alignment with
    the phonemes of the whole text gives the words' starts.
    """
    groups, tokens = phonemes.split(), text.split()
    begins, at = [], 0
    for group in groups:
        begins.append(at + next((n for n, phoneme in enumerate(group) if phoneme not in _MARKS), 0))
        at += len(group)
    if len(groups) == len(tokens):
        return dict(enumerate(begins))
    return _aligned([phonemes_of(token, accent) for token in tokens], "".join(groups))


def _aligned(words: Sequence[str], whole: str) -> dict[int, int]:
    alone = [word.replace(" ", "") for word in words]
    places: dict[int, int] = {}
    for block in Levenshtein.opcodes("".join(alone), whole):
        for n in range(block.src_start, block.src_end):
            places[n] = min(block.dest_start + n - block.src_start, max(block.dest_end, block.dest_start + 1) - 1)
    ends = accumulate(map(len, alone))
    last = len(whole) - 1
    return {
        token: min(places[end - len(word)], last)
        for token, (word, end) in enumerate(zip(alone, ends, strict=True))
        if word
    }


@lru_cache(maxsize=65_536)
def _phonemized(text: str, accent: str) -> str:
    return str(tokenizer().phonemize(text, accent))


@cache
def tokenizer() -> Any:
    from kokoro_onnx.tokenizer import Tokenizer

    return Tokenizer(espeak())


@cache
def espeak() -> Any:
    """Where `kokoro-onnx` and `phonemizer` find eSpeak NG: a copy of its library, kept as long as the process lives.

    They never unload what they have loaded, and `espeak_engine.py` can start anew only if nobody else holds the same library.
    """
    from kokoro_onnx.config import EspeakConfig

    library = Path(espeakng_loader.get_library_path())
    folder = TemporaryDirectory(prefix="salm-duplex-")
    atexit.register(folder.cleanup)
    return EspeakConfig(shutil.copy(library, folder.name), espeakng_loader.get_data_path())
