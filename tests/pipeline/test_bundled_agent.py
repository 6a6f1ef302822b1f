"""The bundled agent from a newcomer's side: it answers a voice that it has never heard."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import soxr

from manifests.frames import SOURCE_RATE
from salm_duplex_model.checkpoint import BUNDLED_RUN
from salm_duplex_model.evaluation.activity import speech
from stages.voices.espeak_engine import Espeak, EspeakVoice

QUESTION = "Hello there. Could you tell me how I get to the station, please?"
LEAD_S = 1.0


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A recording of a user, and when the question starts and ends."""
    samples, _ = Espeak().speak(QUESTION, EspeakVoice.parse("en-gb-scotland?pitch=62&rate=150"))
    question = soxr.resample(samples / 32768, 22_050, SOURCE_RATE)
    recording = np.concatenate([np.zeros(round(LEAD_S * SOURCE_RATE)), question])
    path = tmp_path_factory.mktemp("asked") / "user.wav"
    soundfile.write(path, recording, SOURCE_RATE)
    return path, LEAD_S + len(question) / SOURCE_RATE


def test_it_answers_when_the_user_has_finished(asked, tmp_path):
    user, end = asked
    command = [sys.executable, "-m", "pipeline.cli", "converse", "bundled", "--user", user, "--out", tmp_path / "a.wav"]
    done = subprocess.run([*map(str, command), "--tail", "6", "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    first = printed["turns"][0]
    assert end < first["start_s"] < end + 1.5
    assert first["text"]
    heard = speech(soundfile.read(tmp_path / "a.wav")[0])
    assert abs(heard[0].start - first["start_s"]) < 0.5


def test_it_is_small():
    size = sum(path.stat().st_size for path in BUNDLED_RUN.rglob("*") if path.is_file())
    assert size < 10e6
