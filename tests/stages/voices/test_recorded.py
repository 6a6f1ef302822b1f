"""Turns that are recordings: played as recorded, timed, labeled, and rejected if unusable."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import soxr
from aligner_material import make_aligner, tones
from material import ingested
from recorded_material import RATE, make_cut, write_recording

from manifests.recordings import parse_recording
from manifests.records import BadDialogue, Dialogue, Recording, Rejected, Turn
from stages.cast import Cast, CastSettings
from stages.ingest import IngestSettings
from stages.synthesize import SynthesizerSettings
from stages.voices.espeak import EspeakSynthesizer
from stages.voices.recorded import LEVEL_DBFS, recorded_speech

TEXT = "the harbour was frozen until the end of march"


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("recordings") / "a.wav"
    words = write_recording(path, TEXT)
    return words, parse_recording(make_cut(path, "a", TEXT, "anna", words).to_dict())


def turn(speaker="user", **more) -> Turn:
    return Turn(speaker, TEXT, spoken=TEXT, **more)


def test_it_is_resampled_trimmed_and_leveled(recording):
    words, given = recording
    length = words[-1].end / RATE
    for speaker, rate in (("user", 16_000), ("agent", 22_050)):
        speech = recorded_speech(turn(speaker), given)
        assert speech.rate == rate and speech.samples.dtype == np.int16
        assert len(speech.samples) / rate == pytest.approx(length, abs=0.06)
        rms = np.sqrt(np.mean(np.square(speech.samples / 32768)))
        assert 20 * np.log10(rms) == pytest.approx(LEVEL_DBFS, abs=0.1)
    original, rate = soundfile.read(given.path)
    heard = soxr.resample(original, rate, 22_050)
    at = np.argmax(np.correlate(heard, speech.samples[:4_000].astype(float)))
    part = heard[at : at + len(speech.samples)]
    assert np.corrcoef(part, speech.samples[: len(part)])[0, 1] > 0.999


def test_word_times_come_from_the_alignment_or_are_estimated(recording):
    words, given = recording
    speech = recorded_speech(turn(), given)
    assert speech.word_times == "aligned"
    assert [w.text for w in speech.words] == TEXT.split()  # as the turn has them, not in the cut's capitals
    for heard, spoken in zip(speech.words, words, strict=True):
        assert heard.start / 16_000 == pytest.approx(spoken.start / RATE, abs=0.03)
        assert heard.end / 16_000 == pytest.approx(spoken.end / RATE, abs=0.03)
    without = replace(given, words=())
    estimated = recorded_speech(turn(), without)
    assert estimated.word_times == "estimated" and estimated.words[-1].end <= len(estimated.samples)
    assert all(a.end <= b.start for a, b in zip(estimated.words, estimated.words[1:], strict=False))
    # An alignment of other words is ignored.
    assert recorded_speech(turn(), replace(given, words=given.words[1:])).word_times == "estimated"


def test_an_aligner_finds_the_words_of_a_recording_without_times(tmp_path):
    words = ["abc", "de", "bad", "ce", "dab"]
    audio, starts = tones(words, 10_001)
    soundfile.write(tmp_path / "tones.wav", audio, 16_000)
    settings = SynthesizerSettings(aligner=str(make_aligner(tmp_path / "aligner")))
    stage = EspeakSynthesizer(settings, 0)
    stage.setup()
    said = Turn("user", " ".join(words), spoken=" ".join(words), recording=Recording(str(tmp_path / "tones.wav")))
    [spoken] = stage.process([Dialogue("d", (said,))])
    [speech] = spoken.speech
    assert speech.word_times == "aligned" and set(stage.made_by()) == {"aligner_sha256"}
    for word, start in zip(speech.words, starts, strict=True):
        assert word.start == pytest.approx(start - starts[0], abs=800)


def test_a_recording_without_speech_is_rejected(tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    with pytest.raises(BadDialogue, match="contains no speech") as error:
        recorded_speech(turn(), Recording(str(tmp_path / "silent.wav")))
    assert error.value.reason == "recording_silent"


def test_synthesize_passes_recordings_and_speaks_the_rest(recording):
    cast, stage = Cast(CastSettings(), 0), EspeakSynthesizer(SynthesizerSettings(), 0)
    cast.setup(), stage.setup()
    good = Dialogue("good", (turn(recording=recording[1]), turn(), turn("agent")), split="train")
    bad = Dialogue("bad", (turn(), turn("agent"), turn(recording=Recording("gone.wav"))), split="train")
    spoken, rejected = stage.process(cast.process([good, bad]))
    assert [s.rate for s in spoken.speech] == [16_000, 22_050, 22_050]
    voices = [t.voice for t in spoken.dialogue.turns]
    assert voices[0] == "recording:anna" and voices[1] in CastSettings().user_voices
    assert isinstance(rejected, Rejected) and rejected.reason == "recording_missing"
    assert "Turn 3 (user): The recording gone.wav does not exist" in rejected.message


def dialogue(number: int, user: str, *more: str) -> dict:
    cuts = [
        {"duration": 1, "recording": {"sources": [{"type": "file", "channels": [0], "source": f"{number}.wav"}]}}
        | {"supervisions": [{"speaker": name}]}
        for name in (user, *more)
    ]
    turns = [{"speaker": "user", "text": f"number {number}", "recording": cut} for cut in cuts]
    return {"id": f"d{number}", "turns": [*turns, {"speaker": "agent", "text": "yes"}]}


def test_a_recorded_user_stays_in_one_split_and_a_dialogue_has_one(write_jsonl):
    path = write_jsonl(*(dialogue(n, f"user{n % 20}") for n in range(60)), dialogue(99, "anna", "bert"))
    result = ingested([path], IngestSettings(validation=0.2, test=0.2), 0)
    splits: dict[str, set[str]] = {}
    for one in result.dialogues:
        splits.setdefault(one.turns[0].recording.speaker, set()).add(one.split)
    assert all(len(found) == 1 for found in splits.values())
    assert sorted({split for found in splits.values() for split in found}) == ["test", "train", "validation"]
    assert [(r.id, r.reason) for r in result.rejected] == [("d99", "several_users")]
    assert result.dialogues[0].turns[0].recording.path == str(path.parent / "0.wav")
