"""Hibari speaks, gives word times, and works along with another synthesizer for the users."""

from pathlib import Path

import numpy as np
import pytest
import soxr
from material import make_dialogue

from manifests.errors import RequestError
from manifests.frames import SOURCE_RATE
from manifests.pcm import to_float
from manifests.records import SpokenDialogue
from pipeline.recipe import load_recipe
from pipeline.voices import about_voice, check_stages
from stages.ears.recognize import load_recognizer
from stages.voices.hibari import HibariSettings, HibariSynthesizer
from stages.voices.word_times import sound_span

TEXT = "I would like two cappuccinos, please. Is there anything else that you recommend?"
MIXED = """\
synthesize:
  use: stages.voices.mixed:MixedSynthesizer
  agent: {use: "stages.voices.hibari:HibariSynthesizer"}
  user: {use: "stages.voices.espeak:EspeakSynthesizer"}
"""


@pytest.fixture(scope="module")
def hibari() -> HibariSynthesizer:
    synthesizer = HibariSynthesizer(HibariSettings(), 0)
    synthesizer.setup()
    return synthesizer


def test_words_are_timed_by_the_voice_itself(hibari: HibariSynthesizer) -> None:
    speech = hibari.speak(TEXT, "heart")
    assert [word.text for word in speech.words] == TEXT.split()
    assert speech.word_times == "engine"
    starts = [word.start for word in speech.words]
    assert starts == sorted(set(starts)) and speech.words[-1].end == len(speech.samples)
    # There is silence between the two sentences: the second one starts with its sound.
    second = next(word for word in speech.words if word.text == "Is")
    before = speech.samples[second.start - speech.rate // 10 : second.start]
    onset, _ = sound_span(speech.samples[second.start - speech.rate // 10 :])
    assert np.abs(before).max() < 500 and abs(onset - speech.rate // 10) <= speech.rate // 25


def test_speech_depends_on_nothing_spoken_before(hibari: HibariSynthesizer) -> None:
    first = hibari.speak(TEXT, "heart").samples
    hibari.speak("Something else, and longer than that.", "heart")
    assert np.array_equal(first, hibari.speak(TEXT, "heart").samples)
    other = HibariSynthesizer(HibariSettings(speed=1.3), 0)
    other.setup()
    assert len(other.speak(TEXT, "heart").samples) < 0.9 * len(first)


def test_it_is_understood(hibari: HibariSynthesizer) -> None:
    speech = hibari.speak(TEXT, "heart")
    (heard,) = load_recognizer("pocketsphinx")([soxr.resample(to_float(speech.samples), speech.rate, SOURCE_RATE)])
    assert len(set(heard.lower().split()) & {"would", "like", "two", "please", "there", "anything", "else"}) >= 5


def test_the_agent_and_the_users_have_separate_synthesizers(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(MIXED)
    recipe = load_recipe(path)
    check_stages(recipe)
    cast = recipe.stage("cast").settings
    assert cast.agent_voice == "heart" and len(cast.user_voices) > 300
    assert about_voice(recipe, "heart")["engine"] == "Hibari"
    assert about_voice(recipe, cast.user_voices[0])["engine"] == "eSpeak NG"
    (speakable,) = recipe.stage("speak").make(0).process([make_dialogue("a")])
    (dialogue,) = recipe.stage("cast").make(0).process([speakable])
    synthesize = recipe.stage("synthesize").make(0)
    (spoken,) = synthesize.process([dialogue])
    assert isinstance(spoken, SpokenDialogue)
    rates = {turn.speaker: speech.rate for turn, speech in zip(spoken.dialogue.turns, spoken.speech, strict=True)}
    assert rates == {"agent": 24_000, "user": 22_050}
    assert "agent hibari-tts" in synthesize.made_by()


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ('{use: "stages.voices.hibari:HibariSynthesizer", sped: 2}', "key 'sped' of HibariSynthesizer"),
        ('{use: "stages.speak:Speak"}', "not a synthesizer"),
        ('{use: "nowhere:Synthesizer"}', "can't be imported"),
    ],
)
def test_a_wrong_engine_is_named(tmp_path: Path, agent: str, said: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(MIXED.replace('{use: "stages.voices.hibari:HibariSynthesizer"}', agent))
    with pytest.raises(RequestError, match=said):
        load_recipe(path)


def test_a_voice_that_does_not_exist_is_rejected() -> None:
    with pytest.raises(RequestError, match="hibari-tts has heart"):
        HibariSynthesizer.check_voices(HibariSettings(), ["nobody"])


def test_both_engines_speak_the_recipes_language(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(MIXED)
    with pytest.raises(RequestError, match=r"HibariSynthesizer speaks English, .* German"):
        check_stages(load_recipe(path, ["ingest.language=de"]))
    path.write_text(MIXED.replace("stages.voices.hibari:HibariSynthesizer", "stages.voices.espeak:EspeakSynthesizer"))
    cast = load_recipe(path, ["ingest.language=de"]).stage("cast").settings
    assert cast.agent_voice.startswith("de") and all(voice.startswith("de") for voice in cast.user_voices)
    with pytest.raises(RequestError, match="omit 'language'"):
        load_recipe(path, ["ingest.language=de", "synthesize.user.language=en"])
