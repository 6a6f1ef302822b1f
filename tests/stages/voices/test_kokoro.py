"""Kokoro speaks in styles and mixtures of them, with word times."""

from collections.abc import Iterable

import numpy as np
import pytest
import soxr

from manifests.errors import RequestError
from manifests.frames import SOURCE_RATE
from manifests.pcm import to_float
from manifests.records import SPLITS, Voice
from pipeline.recipe import load_recipe
from pipeline.voices import about_voice, check_stages
from stages.cast import voice_pools
from stages.ears.recognize import load_recognizer
from stages.voices.espeak_engine import DEFAULT_AGENT_VOICE, Espeak
from stages.voices.kokoro import KokoroSettings, KokoroSynthesizer, engine
from stages.voices.kokoro.phonemes import phonemes_of, word_places
from stages.voices.kokoro.styles import Mixture, names, user_voices

TEXT = "I would like two of the cappuccinos, please."
VOICE = "af_bella:0.6+bf_emma:0.4"
USE = ["synthesize.use=stages.voices.kokoro:KokoroSynthesizer"]


@pytest.fixture(scope="module")
def kokoro() -> KokoroSynthesizer:
    synthesizer = KokoroSynthesizer(KokoroSettings(), 0)
    synthesizer.setup()
    return synthesizer


def test_words_are_timed_by_the_voice_itself_and_understood(kokoro: KokoroSynthesizer) -> None:
    speech = kokoro.speak(TEXT, VOICE)
    assert speech.rate == 24_000 and speech.word_times == "engine"
    assert [word.text for word in speech.words] == TEXT.split()
    starts = [word.start for word in speech.words]
    assert starts == sorted(set(starts)) and speech.words[-1].end == len(speech.samples)
    (heard,) = load_recognizer("pocketsphinx")([soxr.resample(to_float(speech.samples), speech.rate, SOURCE_RATE)])
    assert len(set(heard.lower().split()) & {"would", "like", "two", "please"}) >= 3


def test_speech_depends_on_text_and_voice_alone(kokoro: KokoroSynthesizer) -> None:
    first = kokoro.speak("Two, please.", VOICE).samples
    other = kokoro.speak("Two, please.", "af_bella").samples
    assert not np.array_equal(first, other)
    assert np.array_equal(first, kokoro.speak("Two, please.", VOICE).samples)
    with pytest.raises(ValueError, match="no phonemes"):
        kokoro.speak("…", VOICE)


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("One of the guests", ["w", "ʌ", "ð", "ɡ"]),  # eSpeak NG says "of the" as one word
        ("In the end, of a kind", ["ɪ", "ð", "ˈ", "ə", "ə", "k"]),
        ("He said (really) — mm-hm.", ["h", "s", "ɹ", "—", "m"]),
    ],
)
def test_words_begin_where_their_phonemes_do(text: str, begins: list[str]) -> None:
    phonemes = phonemes_of(text, "en-us")
    places = word_places(text, phonemes, "en-us")
    assert [phonemes.replace(" ", "")[place] for place in places.values()] == begins
    assert list(places) == list(range(len(begins))) and sorted(places.values()) == list(places.values())


def test_a_hum_is_not_spelled_out(kokoro: KokoroSynthesizer) -> None:
    hum, spelled = (len(kokoro.speak(text, VOICE).samples) for text in ("mm-hm", "M M H M"))
    assert hum < 0.6 * spelled


def test_espeak_in_the_same_process_stays_repeatable() -> None:
    phonemes_of("Kokoro's own eSpeak NG is loaded.", "en-us")
    espeak, text = Espeak(), "Good morning, how are you today?"
    first, _ = espeak.speak(text, DEFAULT_AGENT_VOICE)
    espeak.speak("Something else, and longer than that.", DEFAULT_AGENT_VOICE)
    assert np.array_equal(first, espeak.speak(text, DEFAULT_AGENT_VOICE)[0])


def test_mixtures_are_as_far_apart_as_styles() -> None:
    def spread(voices: Iterable[str]) -> float:
        styles = np.stack([Mixture.parse(voice).style() for voice in voices])
        return float(np.linalg.norm(styles - styles.mean(axis=0), axis=-1).mean())

    assert spread(user_voices()) > 0.9 * spread(names())
    first, second, mixed = (Mixture.parse(voice) for voice in ("af_bella", "bf_emma", VOICE))
    assert mixed.style().shape == (510, 1, 256) and mixed.accent == "en-us" and second.accent == "en-gb"
    near, far = (np.linalg.norm(mixed.style() - style.style()) for style in (first, second))
    assert near < far < np.linalg.norm(mixed.style() - Mixture.parse("am_onyx").style())


def test_users_have_forty_mixtures_in_all_splits() -> None:
    recipe = load_recipe(overrides=USE)
    check_stages(recipe)
    cast = recipe.stage("cast").settings
    assert cast.agent_voice == "af_heart" and cast.user_voices == user_voices()
    assert len({Voice.parse(voice).speaker for voice in user_voices()}) == len(user_voices()) >= 40
    assert set(voice_pools(cast.user_voices, 0)) == set(SPLITS)
    about = about_voice(recipe, user_voices()[0])
    assert about["license"] == "Apache-2.0" and user_voices()[0] in about["source"]


@pytest.mark.parametrize(
    ("voice", "said"),
    [
        ("nobody", "has no style 'nobody'; its styles are af_alloy"),
        ("af_bella:0.6+nobody:0.4", "has no style 'nobody'"),
        ("af_bella:0.6+bf_emma:0.6", "sum to 1.2, not to 1"),
        ("af_bella:x+bf_emma:0.4", "is not a style such as"),
        ("af_bella:0.5+af_bella:0.5", "is not a style such as"),
        ("af_bella?rate=9", "is not a style such as"),
    ],
)
def test_an_unknown_voice(voice: str, said: str) -> None:
    with pytest.raises(RequestError, match=rf"The voice '.*' can't be used: .*{said}"):
        KokoroSynthesizer.check_voices(KokoroSettings(), [voice])


def test_parts_of_another_model_are_rejected(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(engine, "PACKAGES", engine.PACKAGES[:1])
    with pytest.raises(RequestError, match="do not make up the model"):
        engine.model_file()
    assert not list(tmp_path.rglob("*.onnx"))
