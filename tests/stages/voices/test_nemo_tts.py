"""`synthesize` with NeMo: real `.nemo` files, created by the fixtures, through NeMo's own classes."""

import numpy as np
import pytest
import torch
from nemo_material import make_asr
from nemo_tts_material import HOP, RATE, make_fastpitch, make_hifigan

from manifests.errors import RequestError
from manifests.records import Dialogue, Rejected, SpokenDialogue, Turn
from pipeline.recipe import load_recipe
from stages.voices.nemo_tts import FastPitchSettings, FastPitchSynthesizer

TEXT = "Good morning. How are you?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tts")
    make_fastpitch(folder / "crowd.nemo", speakers=5)
    make_hifigan(folder / "hifigan.nemo")
    return folder


def settings_of(folder, fastpitch="crowd.nemo", hifigan="hifigan.nemo", **more) -> FastPitchSettings:
    return FastPitchSettings(fastpitch=str(folder / fastpitch), hifigan=str(folder / hifigan), **more)


@pytest.fixture(scope="module")
def fastpitch(folder) -> FastPitchSynthesizer:
    stage = FastPitchSynthesizer(settings_of(folder, license="CC-BY-4.0"), 0)
    stage.setup()
    return stage


def test_three_recipe_lines_and_every_speaker_is_a_voice(folder):
    lines = [
        "use=stages.voices.nemo_tts:FastPitchSynthesizer",
        f"fastpitch={folder}/crowd.nemo",
        f"hifigan={folder}/hifigan.nemo",
    ]
    recipe = load_recipe(overrides=[f"synthesize.{line}" for line in lines])
    cast, spec = recipe.stage("cast").settings, recipe.stage("synthesize")
    assert (cast.agent_voice, cast.user_voices) == ("crowd#0", [f"crowd#{n}" for n in range(1, 5)])
    spec.stage_class.check(spec.settings)
    spec.stage_class.check_voices(spec.settings, ["crowd#0", "crowd#4"])
    chosen = load_recipe(overrides=[*(f"synthesize.{line}" for line in lines), "synthesize.speakers=[4, 0, 3, 1]"])
    assert chosen.stage("cast").settings.user_voices == ["crowd#0", "crowd#3", "crowd#1"]


def test_a_text_is_spoken_the_same_regardless_of_earlier_texts(fastpitch):
    first = fastpitch.speak(TEXT, "crowd#1")
    other = fastpitch.speak("Fine.", "crowd#1")
    again = fastpitch.speak(TEXT, "crowd#1")
    assert np.array_equal(first.samples, again.samples) and first.words == again.words and first.rate == RATE
    loudness = np.abs(first.samples).mean()
    assert 300 < loudness < 20_000 and len(first.samples) > len(other.samples) > 0


def test_each_speaker_sounds_different(fastpitch):
    spoken = {fastpitch.speak(TEXT, f"crowd#{n}").samples.tobytes() for n in range(5)}
    assert len(spoken) == 5


@pytest.mark.parametrize("text", [TEXT, "Well-known, yes!", "Zyx? 'Fine' (are) you…", "Don't read é “well”."])
def test_a_word_starts_where_its_first_sound_does(fastpitch, text):
    """FastPitch itself returns the duration of each token in frames; words are separated by the space token."""
    model, samples = fastpitch._fastpitch, fastpitch.utter(text, "crowd#3")[0]
    tokens = model.parse(text, normalize=False)
    with torch.inference_mode():
        frames = model(text=tokens, durs=None, pitch=None, speaker=torch.tensor([3]))[2][0].round().int().tolist()
    assert len(samples) == HOP * sum(frames)
    tokens = tokens[0].tolist()
    spaces = [i for i, token in enumerate(tokens) if token == model.vocab.space]
    expected = [HOP * sum(frames[: space + 1]) for space in spaces[:-1]]
    speech = fastpitch.speak(text, "crowd#3")
    silent = len(samples) - len(speech.samples)
    starts = [word.start for word in speech.words]
    assert speech.word_times == "engine" and len(starts) == len(text.split()) == len(expected)
    assert np.ptp([known - start for known, start in zip(expected, starts, strict=True)][1:]) == 0
    assert 0 <= expected[1] - starts[1] <= silent
    assert starts == sorted(starts) and all(w.start < w.end <= len(speech.samples) for w in speech.words)


def test_a_word_without_sound_is_between_its_neighbors(fastpitch):
    dash, without = fastpitch.speak("Yes — you.", "crowd#1"), fastpitch.speak("Yes you.", "crowd#1")
    assert np.array_equal(dash.samples, without.samples) and dash.word_times == "engine"
    yes, middle, you = dash.words
    assert yes.start < middle.start < you.start == without.words[1].start


def test_words_that_tokens_do_not_separate_have_estimated_times(fastpitch):
    """Between bars, a tokenizer takes phonemes literally, including spaces."""
    speech = fastpitch.speak("Yes |K AE1 N| you.", "crowd#1")
    assert speech.word_times == "estimated" and [word.text for word in speech.words] == [
        "Yes",
        "|K",
        "AE1",
        "N|",
        "you.",
    ]


def test_a_model_of_one_speaker(folder):
    make_fastpitch(folder / "alone.nemo")
    settings = settings_of(folder, "alone.nemo")
    assert FastPitchSynthesizer.voices(settings) == ["alone"]
    FastPitchSynthesizer.check(settings)
    FastPitchSynthesizer.check_voices(settings, ["alone"])
    stage = FastPitchSynthesizer(settings, 0)
    stage.setup()
    assert stage.speak(TEXT, "alone").word_times == "engine"


def test_speech_is_cached(folder, fastpitch, tmp_path):
    stage = FastPitchSynthesizer(settings_of(folder, cache=str(tmp_path)), 0)
    stage.setup()
    first = stage.speak(TEXT, "crowd#1")
    stage._fastpitch = stage._hifigan = None
    again = stage.speak(TEXT, "crowd#1")
    assert np.array_equal(first.samples, again.samples) and first.words == again.words
    assert np.array_equal(first.samples, fastpitch.speak(TEXT, "crowd#1").samples)


def test_the_origin_of_voices_is_reported(fastpitch, folder):
    about = FastPitchSynthesizer.about(fastpitch.settings, "crowd#1")
    digests = {key: value for key, value in about.items() if key.endswith("_sha256")}
    assert set(digests) == {"fastpitch_sha256", "hifigan_sha256"}
    assert about | digests == {
        "engine": "NeMo FastPitch and HiFi-GAN", "source": f"{folder}/crowd.nemo, {folder}/hifigan.nemo",
        "license": "CC-BY-4.0", **digests,
    }  # fmt: skip
    made_by = fastpitch.made_by()
    assert made_by.items() >= digests.items() and {"nemo_toolkit", "device"} <= set(made_by)


@pytest.mark.parametrize("voice", ["crowd", "crowd#5", "../crowd#1", "nobody"])
def test_an_unknown_voice(fastpitch, voice):
    with pytest.raises(RequestError, match=rf"The voice '{voice}' can't be used: .* has crowd#0, crowd#1"):
        FastPitchSynthesizer.check_voices(fastpitch.settings, [voice])
    with pytest.raises(ValueError, match="has no voice"):
        fastpitch.speak("Hello.", voice)


def refusal(*lines: str) -> str:
    with pytest.raises(RequestError) as caught:
        recipe = load_recipe(overrides=["synthesize.use=stages.voices.nemo_tts:FastPitchSynthesizer", *lines])
        recipe.stage("synthesize").stage_class.check(recipe.stage("synthesize").settings)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message
    return message


def test_unusable_settings_are_rejected_before_any_work(folder, tmp_path):
    fastpitch, hifigan = f"synthesize.fastpitch={folder}/crowd.nemo", f"synthesize.hifigan={folder}/hifigan.nemo"
    (tmp_path / "torn.nemo").write_bytes((folder / "crowd.nemo").read_bytes()[:100])
    asr, other = make_asr(tmp_path / "asr.nemo"), make_hifigan(tmp_path / "44100.nemo", rate=44_100)
    assert "does not exist" in refusal(f"synthesize.fastpitch={tmp_path}/none.nemo", hifigan)
    assert "is not a .nemo file, or is damaged" in refusal(f"synthesize.fastpitch={tmp_path}/torn.nemo", hifigan)
    assert "contains EncDecCTCModel, not FastPitchModel" in refusal(f"synthesize.fastpitch={asr}", hifigan)
    assert "contains FastPitchModel, not HifiGanModel" in refusal(fastpitch, f"synthesize.hifigan={folder}/crowd.nemo")
    assert "80 bands at 22050 Hz, but" in refusal(fastpitch, f"synthesize.hifigan={other}")
    assert "has no speaker 7 of synthesize.speakers" in refusal(fastpitch, hifigan, "synthesize.speakers=[1, 7]")
    assert "can't be downloaded" in refusal("synthesize.fastpitch=nobody/nothing", hifigan)


def test_a_turn_without_sound_rejects_its_dialogue(fastpitch):
    good, bad = (Dialogue(text, (Turn("user", text, spoken=text, voice="crowd#1"),)) for text in ("Yes.", "—"))
    spoken, rejected = fastpitch.process([good, bad])
    assert isinstance(spoken, SpokenDialogue) and isinstance(rejected, Rejected)
    assert "has no sound for any of its characters" in rejected.message
