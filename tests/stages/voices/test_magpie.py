"""`synthesize` with MagpieTTS: real `.nemo` files, created by the fixtures, through NeMo's own classes."""

import numpy as np
import pytest
import soundfile
from nemo.collections.tts.parts.utils.tts_dataset_utils import chunk_text_for_inference
from nemo_tts_material import RATE, make_loud_codec, make_magpie

from manifests.errors import RequestError
from manifests.records import Dialogue, SpokenDialogue, Turn
from pipeline.recipe import load_recipe
from stages.voices.magpie import MagpieSettings, MagpieSynthesizer, speakers_within

TEXT = "Good morning. How are you?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model with four speakers, one that needs a prompt, and four prompts."""
    folder = tmp_path_factory.mktemp("magpie")
    codec = make_loud_codec(folder / "codec.nemo")
    make_magpie(folder / "own.nemo", codec, speakers=4)
    make_magpie(folder / "prompted.nemo", codec)
    (folder / "prompts").mkdir()
    for number, seconds in enumerate((0.3, 0.5, 2, 4)):  # some shorter than a prompt must be, and some longer
        tone = 0.3 * np.sin(np.arange(int(seconds * 16_000)) * 0.05 * (number + 1))
        soundfile.write(folder / "prompts" / f"voice{number}.wav", tone, 16_000)
    return folder


def made(settings: MagpieSettings) -> MagpieSynthesizer:
    stage = MagpieSynthesizer(settings, 0)
    stage.setup()
    return stage


@pytest.fixture(scope="module")
def own(folder) -> MagpieSynthesizer:
    return made(MagpieSettings(magpie=str(folder / "own.nemo"), license="its own"))


@pytest.fixture(scope="module")
def prompted(folder) -> MagpieSynthesizer:
    return made(MagpieSettings(magpie=str(folder / "prompted.nemo"), prompts=str(folder / "prompts")))


def test_two_recipe_lines_and_every_speaker_is_a_voice(folder):
    assert speakers_within(folder / "own.nemo") == 4
    use = ["synthesize.use=stages.voices.magpie:MagpieSynthesizer", f"synthesize.magpie={folder}/own.nemo"]
    recipe = load_recipe(overrides=use)
    cast, spec = recipe.stage("cast").settings, recipe.stage("synthesize")
    assert (cast.agent_voice, cast.user_voices) == ("own#0", ["own#1", "own#2", "own#3"])
    spec.stage_class.check(spec.settings)
    spec.stage_class.check_voices(spec.settings, ["own#0", "own#3"])


def test_every_prompt_is_a_voice(folder):
    assert speakers_within(folder / "prompted.nemo") == 0
    settings = MagpieSettings(magpie=str(folder / "prompted.nemo"), prompts=str(folder / "prompts"))
    assert MagpieSynthesizer.voices(settings) == [f"voice{n}" for n in range(4)]


@pytest.mark.parametrize("kind", ["own", "prompted"])
def test_a_text_is_sampled_the_same_regardless_of_earlier_texts(kind, request):
    stage = request.getfixturevalue(kind)
    voice, other = stage.voices(stage.settings)[:2]
    first = stage.speak(TEXT, voice)
    others = [stage.speak("Yes.", voice), stage.speak(TEXT, other)]
    again = stage.speak(TEXT, voice)
    assert np.array_equal(first.samples, again.samples) and first.words == again.words
    assert first.rate == RATE and first.word_times == "estimated" and [w.text for w in first.words] == TEXT.split()
    assert 300 < np.abs(first.samples).mean() < 20_000
    assert all(first.samples.tobytes() != speech.samples.tobytes() for speech in others)


def test_another_prompt_of_that_name_is_another_voice(prompted, folder, tmp_path):
    (tmp_path / "voice0.wav").write_bytes((folder / "prompts" / "voice3.wav").read_bytes())
    stage = made(prompted.settings.model_copy(update={"prompts": str(tmp_path)}))
    assert spoken_by(stage, "voice0") != spoken_by(prompted, "voice0")
    assert stage.made_by()["prompts_sha256"] != prompted.made_by()["prompts_sha256"]


def test_another_speaker_is_another_voice_and_a_turn_has_to_end(own):
    stage = made(own.settings)
    stage._known["own#0"] = 3  # the random numbers drawn from the voice's name stay the same
    assert spoken_by(stage, "own#0") != spoken_by(own, "own#0")
    stage._model.inference_parameters.max_decoder_steps = stage._model.inference_parameters.min_generated_frames = 8
    with pytest.raises(ValueError, match="did not reach the end"):
        stage.speak(TEXT, "own#0")


def spoken_by(stage: MagpieSynthesizer, voice: str) -> list[bytes]:
    return [stage.speak(text, voice).samples.tobytes() for text in ("Yes.", "Good morning.", "Fine, are you?")]


def test_a_long_text_is_spoken_sentence_by_sentence(own):
    """An untrained model's attention does not follow the text, so it may lose its position; the dialogue is then
    rejected."""
    text = "Hello, how are you, good morning, fine, yes, how are you? " * 5
    turns = [Dialogue(voice, (Turn("user", text, spoken=text, voice=voice),)) for voice in own.voices(own.settings)]
    results = own.process(turns)
    spoken = [result for result in results if isinstance(result, SpokenDialogue)]
    assert spoken and all(len(result.speech[0].words) == 55 for result in spoken)
    chunks = chunk_text_for_inference(text, "en", "english_phoneme", own._model.tokenizer, own._model.eos_id)[0]
    assert len(chunks) == 5 and all(
        len(result.speech[0].samples) > 15 * 1_764 for result in spoken
    )  # 4 frames each, or more
    for result in results:
        assert isinstance(result, SpokenDialogue) or result.message.endswith(
            ("the model lost its place in it.", "the model did not reach the end of it.")
        )


def test_the_origin_of_voices_is_reported(own, prompted, folder):
    about = MagpieSynthesizer.about(own.settings, "own#1")
    digests = {key: about.pop(key) for key in ("magpie_sha256", "codec_sha256")}
    assert about == {"engine": "NeMo MagpieTTS", "source": f"{folder}/own.nemo", "license": "its own"}
    assert own.made_by().items() >= digests.items() and {"nemo_toolkit", "device"} <= set(own.made_by())
    prompts = {MagpieSynthesizer.about(prompted.settings, f"voice{n}")["prompt_sha256"] for n in range(4)}
    assert len(prompts) == 4


@pytest.mark.parametrize("voice", ["own", "own#4", "../own#1", "voice0"])
def test_an_unknown_voice(own, voice):
    with pytest.raises(RequestError, match=rf"The voice '{voice}' can't be used: .* has own#0, own#1"):
        MagpieSynthesizer.check_voices(own.settings, [voice])
    with pytest.raises(ValueError, match="has no voice"):
        own.speak("Hello.", voice)


def test_a_language_that_the_model_lacks(folder, tmp_path):
    """NeMo would use its English tokenizer for any language that it does not know."""
    tokenizers = {"english_phoneme": ("en-US", "HELLO  həˈɫoʊ\n"), "spanish_phoneme": ("es-ES", "HOLA  ˈola\n")}
    two = make_magpie(tmp_path / "two.nemo", folder / "codec.nemo", speakers=4, tokenizers=tokenizers)
    for language in ("en", "es"):
        MagpieSynthesizer.check(MagpieSettings(magpie=str(two), language=language))
    message = "has no tokenizer for the synthesize.language 'de', but for english_phoneme, spanish_phoneme"
    assert message in refusal(f"synthesize.magpie={two}", "ingest.language=de")


def refusal(*lines: str) -> str:
    with pytest.raises(RequestError) as caught:
        recipe = load_recipe(overrides=["synthesize.use=stages.voices.magpie:MagpieSynthesizer", *lines])
        recipe.stage("synthesize").stage_class.check(recipe.stage("synthesize").settings)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message
    return message


def test_unusable_settings_are_rejected_before_any_work(folder, tmp_path):
    own, prompted = f"synthesize.magpie={folder}/own.nemo", f"synthesize.magpie={folder}/prompted.nemo"
    assert "does not exist" in refusal(f"synthesize.magpie={tmp_path}/none.nemo")
    assert "contains AudioCodecModel, not MagpieTTSModel" in refusal(f"synthesize.magpie={folder}/codec.nemo")
    assert "has no built-in speakers; set synthesize.prompts" in refusal(prompted)
    assert "takes no prompts" in refusal(own, f"synthesize.prompts={folder}/prompts")
    assert "contains no WAV file" in refusal(prompted, f"synthesize.prompts={tmp_path}")
    for name in ("a", "b", "c", "torn"):
        (tmp_path / f"{name}.wav").write_bytes(
            (folder / "prompts" / "voice0.wav").read_bytes()[: 20 if name == "torn" else None]
        )
    assert "torn.wav of synthesize.prompts can't be read" in refusal(prompted, f"synthesize.prompts={tmp_path}")
    assert "contains MagpieTTSModel, not AudioCodecModel" in refusal(own, f"synthesize.codec={folder}/own.nemo")
    assert "does not exist" in refusal(own, f"synthesize.codec={tmp_path}/none.nemo")
    assert "can't be downloaded" in refusal("synthesize.magpie=no such/model")
    assert "can't be downloaded" in refusal("synthesize.magpie=nobody/nothing")
