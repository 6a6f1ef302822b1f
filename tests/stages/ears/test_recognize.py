import sys

import numpy as np
import pytest
from nemo_material import make_asr

from manifests.errors import RequestError
from stages.ears.recognize import check_recognizer, load_recognizer
from stages.voices.espeak_engine import DEFAULT_AGENT_VOICE, Espeak


def test_pocketsphinx_recognizes_words_reproducibly():
    samples, _ = Espeak().speak("leave the square on the north side", DEFAULT_AGENT_VOICE)
    speech = samples[: len(samples) // 441 * 441].astype(np.float32)
    import soxr

    heard = soxr.resample(speech / 32768, 22_050, 16_000)
    recognizer = load_recognizer("pocketsphinx")
    first, again = recognizer([heard, heard])
    assert first == again and len(first.split()) >= 3


def test_a_nemo_checkpoint_is_loaded_from_its_file(tmp_path):
    recognizer = load_recognizer(str(make_asr(tmp_path / "asr.nemo")))
    heard = recognizer([np.zeros(16_000, np.float32), np.zeros(8_000, np.float32)])
    assert len(heard) == 2 and all(isinstance(text, str) for text in heard)


@pytest.mark.parametrize("name", ["whisper", "nowhere.nemo", "a/b/c"])
def test_an_unknown_recognizer_is_rejected(name):
    with pytest.raises(RequestError, match="neither pocketsphinx nor a NeMo checkpoint"):
        load_recognizer(name)


def test_a_file_that_is_not_a_nemo_checkpoint_is_rejected(tmp_path):
    (tmp_path / "broken.nemo").write_bytes(b"no archive")
    with pytest.raises(RequestError, match="can't be loaded"):
        load_recognizer(str(tmp_path / "broken.nemo"))


def test_a_missing_extra_is_named_with_its_fix(monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)  # as if it were not installed
    with pytest.raises(ValueError, match=r"pip install '\.\[asr\]'"):
        check_recognizer("pocketsphinx")
