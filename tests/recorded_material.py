"""Recordings for tests: eSpeak NG's speech in files of many kinds, with a Lhotse cut set that has its words in time."""

from pathlib import Path

import numpy as np
import soundfile
import soxr
from lhotse import CutSet, MonoCut, Recording, SupervisionSegment
from lhotse.supervision import AlignmentItem

from stages.voices.espeak_engine import Espeak, EspeakVoice

RATE = 22_050
LEAD_S = 0.5
"""Silence before the speech in a recording, and after it."""


def write_recording(path: Path, text: str, voice: str = "en-us+m3", rate: int = 44_100, channels: int = 1) -> list:
    """Speak into a file, between two stretches of faint noise; returns the words, in samples of 22 050 Hz from the
    start of the speech. With two channels, the speech is in the second one."""
    samples, words = Espeak().speak(text, EspeakVoice.parse(voice))
    quiet = np.random.default_rng(0).normal(0, 1e-4, round(LEAD_S * RATE))
    audio = 0.1 * np.concatenate([quiet, samples / 32768, quiet])
    audio = soxr.resample(audio, RATE, rate)
    columns = audio if channels == 1 else np.stack([np.zeros_like(audio), audio], axis=1)
    soundfile.write(path, columns, rate, subtype="PCM_16")
    return words


def make_cut(path: Path, id: str, text: str, speaker: str, words: list | None = None) -> MonoCut:
    """An ASR cut of such a recording, with its text in capitals, as in LibriSpeech."""
    recording = Recording.from_file(path, recording_id=id)
    items = [
        AlignmentItem(w.text.upper(), round(LEAD_S + w.start / RATE, 6), round((w.end - w.start) / RATE, 6))
        for w in words or ()
    ]
    supervision = SupervisionSegment(
        id=id, recording_id=id, start=0, duration=recording.duration, text=text.upper().rstrip("."), speaker=speaker,
        alignment={"word": items} if words else None,
    )  # fmt: skip
    return MonoCut(
        id=id, start=0, duration=recording.duration, channel=0, recording=recording, supervisions=[supervision]
    )


SAID = (
    ("anna", "the harbour was frozen until the end of march"),
    ("anna", "nobody in the village owned a boat any more"),
    ("bert", "my brother grows tomatoes on the roof of his house"),
    ("bert", "every liar needs a remarkably good memory to live well"),
    ("bert", "this is plain nonsense and nobody should write about it"),
    ("cora", "good morning"),
)
"""Of the last three, the tests' chat server gives a false answer to one and no answer to another, and one is too
short."""


def make_cuts(folder: Path) -> Path:
    """A cut set of `SAID` on disk; only the first recording has an alignment."""
    cuts = []
    for number, (speaker, text) in enumerate(SAID):
        path = folder / f"{number}.wav"
        words = write_recording(path, text, voice={"anna": "en+f3", "bert": "en-us+m7"}.get(speaker, "en+f1"))
        cuts.append(make_cut(path, f"c{number}", text, speaker, words if number == 0 else None))
    path = folder / "cuts.jsonl.gz"
    CutSet.from_cuts(cuts).to_file(path)
    return path
