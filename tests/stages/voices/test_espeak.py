"""eSpeak NG: the same bytes every time, and a time for every word of the text."""

import hashlib
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from stages.talk.phrases import phrases
from stages.voices.espeak_engine import DEFAULT_AGENT_VOICE, RATE, Espeak, EspeakVoice, agent_voice, check_voice, voices

FIRST = "Six sick sheep were fishing with fresh vision, honestly."
SECOND = "Is it $12.50, or 2500? Of a kind."
QUIET = 10 ** (-50 / 20) * 32768


@pytest.fixture(scope="module")
def espeak() -> Espeak:
    return Espeak()


def digest(text: str, voice: EspeakVoice) -> str:
    samples, words = Espeak().speak(text, voice)
    return hashlib.sha256(samples.tobytes() + repr(words).encode()).hexdigest()


def test_same_speech_in_any_order() -> None:
    other = EspeakVoice.parse(voices()[10])
    alone = digest(FIRST, DEFAULT_AGENT_VOICE)
    digest(SECOND, other)
    assert digest(FIRST, DEFAULT_AGENT_VOICE) == alone
    digest(FIRST, other)
    digest("Aha!", DEFAULT_AGENT_VOICE)
    assert digest(FIRST, DEFAULT_AGENT_VOICE) == alone
    assert digest(SECOND, DEFAULT_AGENT_VOICE) != alone


def test_same_speech_in_another_process() -> None:
    code = f"""
import hashlib
from stages.voices.espeak_engine import *
Espeak().speak({SECOND!r}, EspeakVoice.parse(voices()[3]))
samples, words = Espeak().speak({FIRST!r}, DEFAULT_AGENT_VOICE)
print(hashlib.sha256(samples.tobytes() + repr(words).encode()).hexdigest())
"""
    path = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=path)
    assert elsewhere.stdout.strip() == digest(FIRST, DEFAULT_AGENT_VOICE)


@pytest.mark.parametrize(
    "text",
    [
        FIRST,
        SECOND,
        "One",
        "e.g. 2500 of the 10:30 ones — isn't it?",
        "“Naïve” cafés, über-crème … 日本語 😀 yes!",
        "  Wait.  Stop!\nWhy?\tBecause… I said so;\n\n that's: it.  ",
        "<b>bold</b> & [[h@l'oU]] \x01+99p there",
    ],
)
def test_one_word_per_token(espeak: Espeak, text: str) -> None:
    samples, words = espeak.speak(text, DEFAULT_AGENT_VOICE)
    assert [word.text for word in words] == text.split()
    assert words[0].start == 0
    assert words[-1].end == len(samples)
    assert all(word.start <= word.end for word in words)
    assert all(word.end <= following.start for word, following in pairwise(words))


def test_long_tokens_take_longer(espeak: Espeak) -> None:
    _, words = espeak.speak("I said 7,777 to Al", DEFAULT_AGENT_VOICE)
    lasting = {word.text: (word.end - word.start) / RATE for word in words}
    assert lasting["7,777"] > 1.5 > 0.5 > max(lasting[short] for short in ("I", "said", "to", "Al"))


def test_positions_count_characters_not_bytes(espeak: Espeak) -> None:
    """If positions were bytes, the eight two-byte letters at the start would move the word after the pause to the next
    one."""
    samples, words = espeak.speak("naïve " * 7 + "naïve. Stop. Go.", DEFAULT_AGENT_VOICE)
    for word in words[-2:]:
        assert np.abs(samples[word.start - RATE // 10 : word.start].astype(int)).max() < QUIET
        assert np.abs(samples[word.start : word.start + RATE // 10].astype(int)).max() > 10 * QUIET


def test_silence_is_trimmed(espeak: Espeak) -> None:
    samples, words = espeak.speak("Good. Bye.", DEFAULT_AGENT_VOICE)
    assert samples.dtype == np.int16
    assert abs(int(samples[0])) > QUIET
    assert abs(int(samples[-1])) > QUIET
    assert words[1].start - words[0].end > 0.2 * RATE  # the pause belongs to neither word


@pytest.mark.parametrize("text", ["", "   ", "...", "\x00"])
def test_text_without_sound(espeak: Espeak, text: str) -> None:
    with pytest.raises(ValueError, match="no sound"):
        espeak.speak(text, DEFAULT_AGENT_VOICE)


@pytest.mark.parametrize("voice", ["tlh-nowhere", "en-us+nobody", "en-us+nobody?pitch=3"])
def test_unknown_voice(espeak: Espeak, voice: str) -> None:
    with pytest.raises(ValueError, match=r"has no voice '.*voices\(\)"):
        espeak.speak("Hello", EspeakVoice.parse(voice))


@pytest.mark.parametrize(
    "voice",
    [
        "",
        "?pitch=3",
        "en-us?pitch=100",
        "en-us?rate=9",
        "en-us?volume=3",
        "en-us?pitch=high",
        "en-us?pitch",
        "../../x",
        "en+../f3",
    ],
)
def test_malformed_voice(voice: str) -> None:
    with pytest.raises(ValueError, match="is not like"):
        EspeakVoice.parse(voice)


def test_voice_round_trip() -> None:
    voice = EspeakVoice.parse("en-gb+f3?pitch=55&range=40&rate=170")
    assert voice == EspeakVoice("en-gb", "f3", 55, 40, 170)
    assert str(voice) == "en-gb+f3?pitch=55&range=40&rate=170"
    assert EspeakVoice.parse("en-us") == EspeakVoice("en-us")


def test_user_voices_work_and_differ() -> None:
    names = voices()
    assert names == voices()
    assert len(names) >= 150
    for name in names:
        assert str(EspeakVoice.parse(name)) == name
        check_voice(name)
    assert len({digest("Hi.", EspeakVoice.parse(name)) for name in names}) == len(names)
    assert not any(EspeakVoice.parse(name).name == DEFAULT_AGENT_VOICE.name for name in names)


def test_hums_are_not_spelled(espeak) -> None:
    samples, words = espeak.speak("Mm-hm, I see. Hm.", DEFAULT_AGENT_VOICE)
    assert [word.text for word in words] == ["Mm-hm,", "I", "see.", "Hm."]
    as_said, _ = espeak.speak("um-hum, I see. hmm.", DEFAULT_AGENT_VOICE)
    assert np.array_equal(samples, as_said)


@pytest.mark.parametrize("language", ["de", "en", "es", "fr", "it", "pt"])
def test_no_backchannel_takes_longer_than_two_words_do(espeak, language) -> None:
    said = phrases(language)
    for text in (*said.backchannels, *said.fillers):
        samples, _ = espeak.speak(text, agent_voice(language))
        assert len(samples) < 0.8 * RATE, text
