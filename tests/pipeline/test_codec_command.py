"""`salm-duplex codec personalize`, for the bundled codec and a NeMo one: better on unseen sentences, with the same
codes."""

from itertools import islice

import numpy as np
import pytest
import soundfile
import torch
from material import LINES, ingested

from manifests.errors import RequestError
from manifests.progress import silent
from pipeline.codec import BUNDLED_DIALOGUES, _hold_out, personalize, read_voice, score, speak, train
from salm_duplex_model.codec import Codec
from salm_duplex_model.codec.nemo import load_codec
from salm_duplex_model.codec.personalize import PersonalizeSettings, _crops, _track
from salm_duplex_model.codec.score import score_speech
from stages.ingest import IngestSettings

VOICE = "en-us+f3?pitch=60&range=60&rate=150"
"""Not the voice that the bundled codec was made for."""


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A folder of fifty sentences in the voice: a few minutes, with some sentences too short to be used."""
    folder = tmp_path_factory.mktemp("voice")
    dialogues = ingested([BUNDLED_DIALOGUES], IngestSettings()).dialogues
    texts = (turn.text for dialogue in dialogues for turn in dialogue.turns if turn.speaker == "agent")
    for number, text in enumerate(islice(texts, 50)):
        soundfile.write(folder / f"{number:02d}.wav", speak(text, VOICE), 22_050)
    return folder


def test_the_bundled_codec_gets_better_on_unseen_sentences(tmp_path, recordings):
    out = tmp_path / "mine.safetensors"
    scores = personalize(
        "bundled",
        recordings,
        out,
        ["steps=30", "batch=2", "crop_frames=24", "learning_rate=0.001", "warmup_steps=5"],
        silent,
    )
    assert_better(scores, "bundled", out)
    assert scores["before"]["n"] >= 3
    assert Codec.load(out).training["personalized"]["steps"] == 30
    assert Codec.load(out).training["agent_voice"] == Codec.bundled().training["agent_voice"]


def test_a_nemo_codec_gets_better_on_unseen_sentences(tmp_path, recordings, nemo_codec):
    out = tmp_path / "mine.nemo"
    scores = personalize(
        str(nemo_codec), recordings, out, ["steps=40", "batch=4", "learning_rate=0.002", "warmup_steps=5"], silent
    )
    assert_better(scores, str(nemo_codec), out)
    from nemo.collections.tts.models import AudioCodecModel

    before, after = (
        AudioCodecModel.restore_from(str(path), map_location="cpu").state_dict() for path in (nemo_codec, out)
    )
    changed = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys() and changed == {"audio_decoder"}
    assert [path.name for path in tmp_path.iterdir()] == ["mine.nemo"]


def assert_better(scores, before, after):
    assert scores["after"]["stoi"] > scores["before"]["stoi"]
    assert scores["after"]["mel_distance"] < scores["before"]["mel_distance"]
    speech = torch.from_numpy(speak("Nobody has ever said this before.", VOICE)[: 20 * 1_764] / np.float32(32768))[None]
    one, other = load_codec(str(before)), load_codec(str(after))
    codes = one.encode(speech)
    assert torch.equal(codes, other.encode(speech)) and torch.equal(one.silence(), other.silence())
    assert not torch.allclose(one.decode(codes), other.decode(codes), atol=1e-3)


def test_a_codec_of_ones_own_voice_is_scored_on_sentences_it_was_not_trained_on(tmp_path, recordings):
    out = tmp_path / "mine.safetensors"
    small = ["steps=2", "batch=1", "crop_frames=4", "user_hours=0.001"]
    train([], out, small, silent, str(recordings))
    codec = Codec.load(out)
    assert codec.training["agent_voice"].startswith("given: ") and codec.training["steps"] == 2
    scores = score(str(out), str(recordings))["voices"]
    heldout = _hold_out(read_voice(recordings), seed=0)[1]
    assert scores["agent"] == score_speech(codec, heldout) and scores["agent"]["n"] == len(heldout)
    assert set(scores) == {"agent", "10 user voices"}
    with pytest.raises(RequestError, match="name it by --corpus"):
        score(str(out))
    with pytest.raises(RequestError, match="omit one of them"):
        train([], out, ["agent_voice=en-gb"], silent, str(recordings))


def test_a_corpus_is_a_voice(small_corpus):
    utterances = read_voice(small_corpus.url)
    agent, user = LINES[1], LINES[0]
    assert agent in utterances and user not in utterances
    assert all(samples.dtype == np.int16 and len(samples) >= 22_050 for samples in utterances.values())
    assert all(np.abs(samples.astype(int)).max() > 1_000 for samples in utterances.values())


def test_held_out_sentences_are_not_trained_on():
    utterances = {f"sentence {i}": np.full(1, i, np.int16) for i in range(100)}
    training, heldout = _hold_out(utterances, seed=0)
    assert len(heldout) == 10 and len(training) == 90
    assert not {int(s[0]) for s in training} & {int(s[0]) for s in heldout}
    assert _hold_out(utterances, seed=1) != (training, heldout)
    assert [len(part) for part in _hold_out(dict(list(utterances.items())[:1]), 0)] == [1, 0]


def test_the_training_data_are_a_corpuss_codes_and_their_audio():
    codec = Codec.bundled()
    samples = speak("One, two, three.", VOICE)
    codes, audio = _track(codec, [samples, samples])
    frames = -(-len(samples) // 1_764)
    assert codes.shape == (2 * frames + 12, 4) and audio.shape == (2 * frames + 12, 1_764)
    assert torch.equal(codes[4 : 4 + frames], codes[8 + frames : 8 + 2 * frames])
    assert (codes[:4] == codec.silence()).all() and not audio[:4].any()
    assert np.array_equal(np.round(audio[4 : 4 + frames].flatten()[: len(samples)].numpy() * 32768), samples)
    settings = PersonalizeSettings(batch=2, crop_frames=10)
    first, again, other = (_crops(codes, audio, step, settings) for step in (0, 0, 1))
    assert first[0].shape == (2, 10, 4) and first[1].shape == (2, 10 * 1_764)
    assert torch.equal(first[1], again[1]) and not torch.equal(first[1], other[1])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("epochs=3", "has no key 'epochs'; the keys are: steps, batch"),
        ("steps=many", "steps is wrong: input should be a valid integer"),
        ("steps=0", "must be above 0, not 0"),
    ],
)
def test_a_wrong_setting_is_rejected(tmp_path, recordings, override, said):
    with pytest.raises(RequestError, match=said):
        personalize("bundled", recordings, tmp_path / "c.safetensors", [override], silent)


def test_a_request_that_cannot_be_met_is_rejected(tmp_path, recordings):
    with pytest.raises(RequestError, match=r"must end in \.safetensors"):
        personalize("bundled", recordings, tmp_path / "c.nemo", [], silent)
    with pytest.raises(RequestError, match="neither a corpus nor a folder"):
        personalize("bundled", tmp_path / "nothing", tmp_path / "c.safetensors", [], silent)
    with pytest.raises(RequestError, match="has no speech"):
        personalize("bundled", tmp_path, tmp_path / "c.safetensors", [], silent)
    with pytest.raises(RequestError, match="does not exist"):
        personalize(str(tmp_path / "none.nemo"), recordings, tmp_path / "c.nemo", [], silent)
    (tmp_path / "broken.wav").write_bytes(b"RIFF, but no more")
    with pytest.raises(RequestError, match=r"broken\.wav can't be read"):
        read_voice(tmp_path)
