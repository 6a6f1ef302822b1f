"""Forced alignment with a small recognizer in Hugging Face's format that was trained on an alphabet of tones."""

import numpy as np
import pytest
import soxr
from aligner_material import LETTER, RATE, make_aligner, tones

from manifests.errors import RequestError
from stages.ears.align import CtcAligner, check_aligner, spelled
from stages.voices.engine import finished


@pytest.fixture(scope="module")
def aligner(tmp_path_factory) -> CtcAligner:
    return CtcAligner(str(make_aligner(tmp_path_factory.mktemp("aligner") / "tones")))


WORDS = ["abc", "de", "bad", "ce", "dab"]


@pytest.mark.parametrize("rate", [RATE, 22_050])
def test_words_are_found_where_they_are(aligner, rate):
    audio, starts = tones(WORDS, 10_001)
    if rate != RATE:
        audio = np.rint(soxr.resample(audio.astype(float), RATE, rate)).astype(np.int16)
    found = aligner.starts(audio, rate, ["Abc,", "“de”", "BAD!", "ce", "dáb."])
    errors = [abs(found[n] / rate - start / RATE) for n, start in enumerate(starts)]
    assert max(errors) < 0.04


def test_a_word_that_has_no_letters_there_gets_no_time(aligner):
    audio, _ = tones(WORDS, 10_002)
    assert set(aligner.starts(audio, RATE, ["abc", "—", "de", "xyz", "bad", "ce", "dab"])) == {0, 2, 4, 5, 6}
    assert aligner.starts(audio[:800], RATE, WORDS) == {}
    assert aligner.starts(audio, RATE, ["…"]) == {}


def test_speech_says_how_its_word_times_were_found(aligner):
    audio, starts = tones(WORDS, 10_003)
    text = " ".join(WORDS)
    aligned = finished(text, audio, RATE, None, aligner)
    assert aligned.word_times == "aligned"
    for word, start, letters in zip(aligned.words, starts, WORDS, strict=True):
        assert word.start == pytest.approx(start - starts[0], abs=0.04 * RATE)
        assert word.end - word.start == pytest.approx(LETTER * len(letters), abs=0.08 * RATE)
    estimated = finished(text, audio, RATE, None, None)
    assert estimated.word_times == "estimated"
    assert max(abs(w.start - s + starts[0]) for w, s in zip(estimated.words, starts, strict=True)) > 0.1 * RATE
    assert finished("… —", audio, RATE, None, aligner).word_times == "estimated"


def test_a_file_that_is_not_an_aligner_is_reported(tmp_path):
    with pytest.raises(RequestError, match=r"neither a NeMo CTC model \(a \.nemo file\) nor a folder"):
        check_aligner(str(tmp_path))
    with pytest.raises(RequestError, match="does not exist"):
        check_aligner(str(tmp_path / "asr.nemo"))


def test_a_letter_that_the_vocabulary_lacks_is_spelled_without_its_accent():
    english = {letter: number for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz'")}
    german = english | {"ü": 30, "ß": 31}
    assert spelled("für", english) == spelled("fur", english)
    assert spelled("für", german)[1] == 30
    assert spelled("straße", english) == spelled("strasse", english) and 31 in spelled("straße", german)
    assert spelled("señor", {letter.upper(): number for letter, number in english.items()}) == spelled("senor", english)
    assert spelled("नमस्ते", english) == []
