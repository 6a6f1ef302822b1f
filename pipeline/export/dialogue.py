"""What every export reads: a dialogue of a finished corpus, as stored in its shards."""

import io
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import soundfile
import soxr
from lhotse import MonoCut, Recording, SupervisionSegment

from manifests.corpus import Corpus
from manifests.errors import RequestError, WorkError
from manifests.frames import SOURCE_RATE, TARGET_RATE, frame_at
from manifests.pcm import to_float, to_int16
from manifests.records import Speaker
from manifests.shard_reader import read_cuts
from manifests.sound import EFFECTS
from manifests.text_channel import is_cut_off, text_heard, whole_text
from stages.ingest import safe_id

PROVENANCE = ("task", "source", "seed", "recipe")
"""Custom fields of a cut that state its origin."""
_SOUND = ("noise", "noise_bursts", *EFFECTS)
_OWN = {"target_audio", "target_codes", "context_audio", "context_audio_unaligned", "system_prompt", "total_turns"}
_OF_READING = {"shard_origin", "shar_epoch"}
"""Fields that Lhotse adds while reading."""


@dataclass(frozen=True, slots=True)
class CorpusWord:
    """A word and its times, in seconds from the dialogue's start."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class CorpusTurn:
    """A supervision, with the fields of the cut's. Times are seconds from the dialogue's start, with Lhotse's eight
    digits."""

    speaker: Speaker
    start: float
    end: float
    event: str
    cut_off: bool
    text: str
    """The text that a text channel lays out."""
    text_heard: str
    text_full: str
    text_written: str
    voice: str
    speech: str
    word_times: str
    words: tuple[CorpusWord, ...] = ()
    """The words heard completely."""
    cut_word: CorpusWord | None = None
    """The word that is cut off, with the times of its audible part."""
    pauses: tuple[tuple[float, float], ...] = ()
    """Start and duration of each."""

    @property
    def words_begun(self) -> tuple[CorpusWord, ...]:
        """All words heard, including the one that is cut off: leaving it out would reveal the interruption."""
        return (*self.words, self.cut_word) if self.cut_word else self.words


@dataclass(frozen=True, slots=True)
class CorpusDialogue:
    """One cut of a corpus. Audio stays encoded until it is needed."""

    id: str
    split: str
    frames: int
    duration: float
    """Seconds; a whole number of 80 ms frames."""
    turns: tuple[CorpusTurn, ...]
    user_audio: bytes
    """Content of an audio file (FLAC in our corpora), 16 kHz."""
    agent_audio: bytes
    """The same, 22.05 kHz."""
    reference_audio: bytes | None = None
    """A reference recording of the agent's voice, if the corpus has one: 22.05 kHz."""
    codes: np.ndarray | None = None
    """int16 (frames, codebooks); None if the export does not use them."""
    total_turns: int = 0
    system_prompt: str = ""
    custom: dict[str, Any] = field(default_factory=dict)
    """The cut's other custom fields: its origin, labels, and the sound on the user's channel."""

    @property
    def file_name(self) -> str:
        """The id, with characters that a file name can't have replaced."""
        return safe_id(self.id)

    def channel(self, speaker: Speaker, rate: int) -> np.ndarray:
        """One channel as int16 (samples,) at `rate`, exactly as long as the dialogue's frames."""
        content, own_rate = (self.user_audio, SOURCE_RATE) if speaker == "user" else (self.agent_audio, TARGET_RATE)
        samples, _ = soundfile.read(io.BytesIO(content), dtype="int16")
        if own_rate != rate:
            samples = to_int16(soxr.resample(to_float(samples), own_rate, rate))
        length = self.frames * rate * 2 // 25
        return np.pad(samples[:length], (0, max(0, length - len(samples))))

    def stereo_wav(self, left: Speaker, right: Speaker, rate: int) -> bytes:
        """Both channels as the content of a 16-bit WAV file, at a rate at which 80 ms is a whole number of samples."""
        file = io.BytesIO()
        both = np.stack([self.channel(left, rate), self.channel(right, rate)], axis=1)
        soundfile.write(file, both, rate, subtype="PCM_16", format="WAV")
        return file.getvalue()

    def holds(self) -> Counter[str]:
        """Counts, by name, of everything in the dialogue that some export can't represent."""
        counts = {kind: count(self) for kind, count in _KINDS.items()}
        return Counter({kind: number for kind, number in counts.items() if number})


def _each(count: Callable[[CorpusTurn], int]) -> Callable[[CorpusDialogue], int]:
    return lambda dialogue: sum(count(turn) for turn in dialogue.turns)


def _lost(turn: CorpusTurn) -> int:
    return max(0, len(turn.text_full.split()) - len(turn.text_heard.split()))


_KINDS: dict[str, Callable[[CorpusDialogue], int]] = {
    "codec frames": lambda dialogue: dialogue.frames,
    "words": _each(lambda turn: len(turn.words_begun)),
    "words lost to a cut-off": _each(lambda turn: _lost(turn) if turn.cut_off else 0),
    "cut-offs": _each(lambda turn: turn.cut_off),
    "event labels": _each(lambda turn: turn.event != "turn"),
    "pauses": _each(lambda turn: len(turn.pauses)),
    "voice names": _each(lambda turn: bool(turn.voice)),
    "texts as written": _each(lambda turn: bool(turn.text_written)),
    "system prompts": lambda dialogue: bool(dialogue.system_prompt),
    "voice references": lambda dialogue: dialogue.reference_audio is not None,
    "sound labels": lambda dialogue: sum(name in dialogue.custom for name in _SOUND),
    "dialogue labels": lambda dialogue: len(dialogue.custom.get("labels", ())),
    "origins (source, seed, recipe)": lambda dialogue: any(name in dialogue.custom for name in PROVENANCE),
}
EVERYTHING = frozenset(_KINDS)
"""The names of everything that is counted."""


def read_dialogues(corpus: Corpus, split: str, shard: int, with_codes: bool = False) -> Iterator[CorpusDialogue]:
    """The dialogues of one shard, in its order, one at a time.

    Raises `WorkError` naming the file if one is missing or damaged.
    """
    without = () if with_codes else ("target_codes",)
    try:
        for cut in read_cuts(corpus.store.folder(split), shard, without):
            yield of_cut(cut, split, with_codes)
    except (RequestError, WorkError):
        raise
    except Exception as error:  # a damaged archive raises whatever its reader raises
        raise damage(corpus, split, error) from error


def damage(corpus: Corpus, split: str, error: Exception) -> WorkError:
    """The error that stopped the reading of a split, naming the file."""
    from salm_duplex_model.stream import explained

    return explained(corpus, split, error)


def of_cut(cut: MonoCut, split: str, with_codes: bool = False) -> CorpusDialogue:
    """A cut from its shard; its codes are available only if they were read."""
    custom = cut.custom or {}
    reference = custom.get("context_audio")
    return CorpusDialogue(
        id=cut.id,
        split=split,
        frames=frame_at(cut.duration),
        duration=cut.duration,
        turns=tuple(_turn(supervision) for supervision in cut.supervisions),
        user_audio=_content(cut.recording, cut.id),
        agent_audio=_content(custom["target_audio"], cut.id),
        reference_audio=None if reference is None else _content(reference, cut.id),
        codes=cut.load_target_codes() if with_codes else None,
        total_turns=int(custom.get("total_turns", 0)),
        system_prompt=custom.get("system_prompt", ""),
        custom={name: value for name, value in custom.items() if name not in _OWN | _OF_READING},
    )


def _content(recording: Recording, id: str) -> bytes:
    source = recording.sources[0]
    if source.type != "memory":
        raise WorkError(f"The audio of the dialogue {id} is missing from its shard; rebuild the corpus.")
    return bytes(source.source)


def _turn(supervision: SupervisionSegment) -> CorpusTurn:
    custom = supervision.custom or {}
    words = tuple(
        CorpusWord(word.symbol, word.start, word.end) for word in (supervision.alignment or {}).get("word", ())
    )
    under_way = custom.get("cut_word")
    return CorpusTurn(
        speaker=supervision.speaker,
        start=supervision.start,
        end=supervision.end,
        event=custom.get("event", "turn"),
        cut_off=is_cut_off(supervision),
        text=supervision.text or "",
        text_heard=text_heard(supervision),
        text_full=whole_text(supervision),
        text_written=custom.get("text_written", ""),
        voice=custom.get("voice", ""),
        speech=custom.get("speech", ""),
        word_times=custom.get("word_times", ""),
        words=words,
        cut_word=CorpusWord(under_way[0], under_way[1], supervision.end) if under_way else None,
        pauses=tuple((start, length) for start, length in custom.get("pauses", ())),
    )
