"""Flite: the same bytes every time, a time for every word, and words that a recognizer understands."""

import ctypes
import os
import subprocess
import sys
import threading
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from material import make_dialogue

from manifests.errors import RequestError
from manifests.records import Rejected, Voice
from pipeline.recipe import load_recipe
from stages.cast import voice_pools
from stages.synthesize import SynthesizerSettings
from stages.voices.flite import Flite, FliteSynthesizer, voices
from stages.voices.flite_engine import SPEAKERS, FliteVoice

TEXT = "“Naïve” cafés cost 2500 or $12.50 … 日本語, isn’t it? Stop. Go on."
QUIET = 10 ** (-50 / 20) * 32768


@pytest.fixture(scope="module")
def flite() -> Flite:
    return Flite()


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_the_same_speech_regardless_of_earlier_texts(flite, speaker):
    first = flite.speak("Fresh vision.", FliteVoice(speaker))
    flite.speak("Something else.", FliteVoice(SPEAKERS[0], rate=120))
    again = flite.speak("Fresh vision.", FliteVoice(speaker))
    assert np.array_equal(first.samples, again.samples) and first.words == again.words
    assert first.rate == 16_000


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_the_same_speech_while_other_threads_draw_random_numbers(flite, speaker):
    """Like Ray's threads, without Python's lock."""
    first = flite.speak("Fresh vision.", FliteVoice(speaker))
    c, numbers = ctypes.CDLL(None), (ctypes.c_int * 10_000_000)()
    c.qsort.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p]
    draws = threading.Thread(target=c.qsort, args=(numbers, len(numbers), 4, ctypes.cast(c.rand, ctypes.c_void_p)))
    draws.start()
    again = [flite.speak("Fresh vision.", FliteVoice(speaker)).samples for _ in range(3)]
    assert draws.is_alive(), "nothing else was drawing"
    draws.join()
    assert all(np.array_equal(first.samples, samples) for samples in again)


def test_it_recovers_when_its_process_dies():
    flite = Flite()
    first = flite.speak("Fresh vision.", FliteVoice("awb"))
    flite._process.kill()
    assert np.array_equal(first.samples, flite.speak("Fresh vision.", FliteVoice("awb")).samples)


def test_the_same_speech_in_another_process(flite):
    code = (
        "import sys; from stages.voices.flite import Flite, FliteVoice; f = Flite(); f.speak('Before.', FliteVoice('awb'))\n"
        "sys.stdout.buffer.write(f.speak('Fresh vision.', FliteVoice('slt')).samples.tobytes())"
    )
    path = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=path)
    assert elsewhere.stdout == flite.speak("Fresh vision.", FliteVoice("slt")).samples.tobytes()


def test_a_word_for_every_token_where_it_is_heard(flite):
    speech = flite.speak(TEXT, FliteVoice("kal16"))
    words = speech.words
    assert [word.text for word in words] == TEXT.split()
    assert (words[0].start, words[-1].end) == (0, len(speech.samples))
    assert all(word.end <= following.start for word, following in pairwise(words))
    lasting = {word.text: (word.end - word.start) / speech.rate for word in words}
    assert lasting["2500"] > 0.7 > lasting["cost"] > lasting["or"]
    # There is a pause before "Stop." and before "Go": the words' edges are those of the sound.
    loud = np.abs(speech.samples.astype(int))
    for word in words[-3:-1]:
        assert loud[word.start : word.start + 1_600].max() > 10 * QUIET > loud[word.start - 800 : word.start].max()


def test_pitch_and_rate_change_the_voice(flite):
    plain, slow = (flite.speak("Hello there, my friend.", FliteVoice("slt", rate=rate)) for rate in (100, 80))
    assert len(slow.samples) / len(plain.samples) == pytest.approx(1.25, rel=0.05)
    high = flite.speak("Hello there, my friend.", FliteVoice("slt", pitch=120))
    assert _pitch(high) / _pitch(plain) == pytest.approx(1.2, rel=0.1)


@pytest.mark.parametrize(
    ("voice", "said"),
    [
        ("kal", "no speaker 'kal'; its speakers are slt"),
        ("../slt", "no speaker"),
        ("slt?pitch=300", "50 to 200"),
        ("slt?volume=3", "is not like"),
        ("slt?pitch", "is not like"),
        ("rms?pitch=110", "can't change its pitch"),
    ],
)
def test_an_unknown_voice_is_rejected(voice, said):
    with pytest.raises(RequestError, match="can't be used") as caught:
        FliteSynthesizer.check_voices(SynthesizerSettings(), [voice])
    assert said in str(caught.value)


def test_voices_are_split_by_speaker(flite):
    assert len(set(voices())) == len(voices()) == 48
    FliteSynthesizer.check_voices(SynthesizerSettings(), voices())
    pools = voice_pools(voices(), 0)
    assert sorted(voice for pool in pools.values() for voice in pool) == sorted(voices())
    assert Counter(len({Voice.parse(voice).speaker for voice in pool}) for pool in pools.values()) == {1: 3}


def test_the_recipe_names_flite_in_one_line_and_its_voices_follow(flite):
    recipe = load_recipe(overrides=["synthesize.use=stages.voices.flite:FliteSynthesizer"])
    cast, synthesize = (recipe.stage(name).make(recipe.seed) for name in ("cast", "synthesize"))
    dialogue = make_dialogue()
    turns = tuple(t.__class__(t.speaker, t.text, spoken=t.text) for t in dialogue.turns)
    (spoken,) = synthesize.process(cast.process([dialogue.__class__(dialogue.id, turns)]))
    assert {t.voice for t in spoken.dialogue.turns if t.speaker == "agent"} == {"slt?pitch=100&rate=100"}
    assert {speech.word_times for speech in spoken.speech} == {"engine"}
    assert synthesize.made_by() == {"engine": "flite", "version": "2.2"}
    assert (
        load_recipe(overrides=["synthesize.use=stages.voices.flite:FliteSynthesizer", "cast.agent_voice=awb"]).id
        != recipe.id
    )


def test_a_turn_without_sound_rejects_its_dialogue(flite):
    stage = FliteSynthesizer(SynthesizerSettings(), 0)
    stage.setup()
    dialogue = make_dialogue()
    turns = tuple(t.__class__(t.speaker, t.text, spoken="日本", voice="slt") for t in dialogue.turns)
    (rejected,) = stage.process([dialogue.__class__("d", turns)])
    assert isinstance(rejected, Rejected)
    assert rejected.message == "Turn 1 (user) could not be spoken: flite produces no sound for '日本'."


def _pitch(speech) -> float:
    """The median of the fundamental frequency over loud frames of 0.1 s, by autocorrelation."""
    found = []
    for frame in speech.samples[: len(speech.samples) // 1_600 * 1_600].reshape(-1, 1_600).astype(float):
        own = np.correlate(frame, frame, "full")[1_599:]
        lag = 45 + int(np.argmax(own[45:270]))
        if own[0] > 1_600 * 800**2 and own[lag] > own[0] / 2:
            found.append(speech.rate / lag)
    return float(np.median(found))
