"""The voice activity detector on real checkpoints: the bundled one, and others made here in pyannote's own format."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from stages.ears.vad import BUNDLED, UnusableModel, VoiceActivity
from stages.ears.vad.detector import find_checkpoint, load_model
from stages.ears.vad.train import labeled, train_vad
from stages.voices.espeak_engine import RATE, Espeak, EspeakVoice

UNSEEN = "en-gb-x-rp+annie"


@pytest.fixture(scope="module")
def bundled():
    return VoiceActivity()


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    return Espeak().speak("Leave the square on the north side", EspeakVoice.parse("en-gb-x-rp+m2"))[0]


def test_speech_is_found_at_its_edges_in_silence_and_in_noise(bundled, spoken):
    silence = np.zeros(3 * RATE, np.int16)
    line = np.concatenate([silence, spoken, silence, spoken, silence])
    starts = [3 * RATE, 6 * RATE + len(spoken)]
    level = np.sqrt(np.mean(np.square(spoken.astype(float))))
    noise = np.random.default_rng(0).normal(0, 0.03 * level, len(line))
    for sound in (line, np.rint(line + noise).astype(np.int16)):
        found = bundled.speech(sound, RATE)
        assert len(found) == 2
        for (begin, end), start in zip(found, starts, strict=True):
            assert begin == pytest.approx(start / RATE, abs=0.08)
            assert end == pytest.approx((start + len(spoken)) / RATE, abs=0.08)


def test_silence_noise_and_knocks_are_not_speech(bundled):
    random = np.random.default_rng(1)
    hiss = random.normal(0, 300, 20 * 16_000)
    knocks = hiss.copy()
    for at in range(16_000, 19 * 16_000, 3 * 16_000):
        knocks[at : at + 2_400] += random.normal(0, 6_000, 2_400) * np.exp(-np.arange(2_400) / 500)
    for sound in (np.zeros(20 * 16_000), hiss, knocks):
        assert bundled.speech(np.rint(sound).astype(np.int16), 16_000) == []


def test_a_file_a_folder_and_a_name_on_the_hub_give_the_same_model(bundled, spoken, tmp_path, monkeypatch):
    folder = tmp_path / "segmentation"
    folder.mkdir()
    shutil.copy(BUNDLED, folder / "pytorch_model.bin")
    # The cache as written by the hub's own client, after which no network is needed.
    cached = tmp_path / "hub" / "models--pyannote--segmentation-3.0"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("0" * 40)
    shutil.copytree(folder, cached / "snapshots" / ("0" * 40))
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in (str(BUNDLED), str(folder), "pyannote/segmentation-3.0"):
        model = VoiceActivity(name)
        assert model.sha256 == bundled.sha256
        assert model.speech(spoken, RATE) == bundled.speech(spoken, RATE)


def test_a_model_for_several_speakers_detects_any_of_them(tmp_path, spoken):
    """A powerset model like segmentation-3.0, created here and untrained: only the code path matters."""
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.segmentation import PyanNet

    from stages.ears.vad.train import save

    model = PyanNet(lstm={"hidden_size": 8, "num_layers": 1}, linear={"hidden_size": 8, "num_layers": 1})
    model.specifications = Specifications(
        Problem.MONO_LABEL_CLASSIFICATION, Resolution.FRAME, 10.0, classes=["a", "b", "c"], powerset_max_classes=2
    )
    model.setup()
    with torch.no_grad():
        model.classifier.bias[1] = 100  # it always detects its first speaker
    save(model, tmp_path / "powerset.ckpt")
    (found,) = VoiceActivity(str(tmp_path / "powerset.ckpt")).speech(spoken, RATE)
    assert found == pytest.approx((0, len(spoken) / RATE), abs=0.08)


class Harm:
    """Unpickled, it would run a command."""

    def __reduce__(self):
        return subprocess.check_output, (["touch", "harmed"],)


def test_a_checkpoint_that_would_run_code_is_rejected_and_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"pyannote.audio": Harm(), "state_dict": {}}, "evil.ckpt")
    with pytest.raises(UnusableModel, match=r"not a weights-only pyannote\.audio checkpoint"):
        VoiceActivity("evil.ckpt")
    assert not (tmp_path / "harmed").exists()


def test_a_checkpoint_that_names_a_foreign_class_is_rejected():
    import io

    facts = torch.load(BUNDLED, weights_only=False)
    facts["pyannote.audio"]["architecture"]["module"] = "antigravity"
    content = io.BytesIO()
    torch.save(facts, content)
    with pytest.raises(UnusableModel, match="not a pyannote"):
        load_model("foreign.ckpt", content.getvalue())
    assert "antigravity" not in sys.modules


def test_a_file_that_is_not_a_checkpoint_is_reported(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.ckpt").write_text("hello")
    for name, said in (
        (tmp_path / "empty", "contains no pytorch_model.bin"),
        (tmp_path / "text.ckpt", "not a weights-only pyannote.audio checkpoint"),
    ):
        with pytest.raises(UnusableModel, match=said):
            VoiceActivity(str(name))
    with pytest.raises(UnusableModel, match="set HF_TOKEN, or name a downloaded"):
        find_checkpoint("nobody/nothing")  # offline, as all tests are


def test_nothing_is_reported_to_the_makers_of_pyannote(bundled):
    from pyannote.audio.telemetry.metrics import is_metrics_enabled

    assert not is_metrics_enabled()


def test_labels_are_the_words_and_not_the_pauses_between(rendered):
    record = next(r for r in rendered if any(s.cut_off for s in r.timeline.segments))
    channel = labeled(record, "agent")
    assert len(channel.samples) == len(channel.speech) >= 160_000
    level = np.abs(channel.samples.astype(int))
    assert level[channel.speech].mean() > 100 * max(level[~channel.speech].mean(), 1e-9)
    for segment in record.timeline.segments:
        if segment.speaker == "agent":
            assert channel.speech[round(segment.start / 22_050 * 16_000) + 1]
            assert channel.speech[round(segment.end / 22_050 * 16_000) - 2]
            assert not channel.speech[round(segment.end / 22_050 * 16_000) + 2]


def test_training_writes_the_same_usable_checkpoint_each_time(rendered, spoken, tmp_path):
    steps: list[tuple[int, int, str]] = []
    models = [train_vad(rendered[:2], tmp_path / f"{i}.ckpt", 2, 0, lambda *step: steps.append(step)) for i in range(2)]
    assert models[0].speech(spoken, RATE) == models[1].speech(spoken, RATE)
    assert steps[1][:2] == (2, 2) and steps[1][2].startswith("loss ")
    assert (tmp_path / "0.ckpt").stat().st_size < 1e7
