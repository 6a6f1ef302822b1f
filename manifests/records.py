"""The records that flow between stages, from a written dialogue to a rendered, tokenized one.

    Dialogue ─speak, cast─▶ Dialogue ─synthesize─▶ SpokenDialogue ─schedule─▶ Timeline
             ─render, verify─▶ DuplexDialogue ─tokenize─▶ TokenizedDialogue

Each record contains the previous one, so no information of an earlier stage is lost. Records are immutable; a stage
returns new ones. A dialogue rejected by a stage becomes a `Rejected` and is not processed further.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Literal
from urllib.parse import parse_qsl

import numpy as np

from manifests.arrays import ArrayOf
from manifests.direction import Direction, Disfluency
from manifests.frames import SOURCE_RATE, TARGET_RATE
from manifests.labels import Label, Labels
from manifests.sound import Sound

Speaker = Literal["user", "agent"]
SPEAKERS: tuple[Speaker, Speaker] = ("user", "agent")
Event = Literal["turn", "barge_in", "backchannel", "false_start", "side_talk"]
Edit = Literal["shortened", "part", "added"]
"""What a stage did to a turn: the beginning of a longer one, a part of one, or a user's "go on" before the next part."""
DURING: frozenset[str] = frozenset({"backchannel", "false_start"})
"""Said during the other speaker's turn without stopping it: "mm-hm", or an abandoned start by the user."""
ASIDES: frozenset[str] = DURING | {"side_talk"}
"""Turns that do not take the floor. Side talk is addressed to somebody else, and is between turns."""
Act = Literal["", "wait", "stop", "go_on", "resume", "reprompt"]
"""The function of a turn, if it determines the next one: the user makes the agent wait until "go on", or stop, and the
agent resumes; or the agent asks again after a long silence."""
SourceAudio = Annotated[np.ndarray, ArrayOf(SOURCE_RATE)]
"""int16 samples at 16 kHz, the user's rate."""
TargetAudio = Annotated[np.ndarray, ArrayOf(TARGET_RATE)]
"""int16 samples at 22.05 kHz, the agent's rate."""
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Voice:
    """A speaker and a style. Splits share no speaker; the speakers and styles are defined by the engine.

    Recipes, turns, cuts and tables name a voice by its string form: `slt?pitch=110&rate=95` is the speaker slt in the
    style `pitch=110&rate=95`, `recording:anna` is the speaker of a recording, and `recording` an unnamed one."""

    speaker: str
    style: str = ""
    recorded: bool = False

    @classmethod
    def parse(cls, text: str) -> "Voice":
        kind, _, name = text.partition(":")
        if kind == _RECORDED:
            return cls(name, recorded=True)
        speaker, _, style = text.partition("?")
        return cls(speaker, style)

    def __str__(self) -> str:
        if self.recorded:
            return f"{_RECORDED}:{self.speaker}" if self.speaker else _RECORDED
        return f"{self.speaker}?{self.style}" if self.style else self.speaker

    def numbers(self) -> dict[str, int]:
        """A style of integers, `pitch=110&rate=95`, by name; raises ValueError for other styles."""
        return {key: int(value) for key, value in parse_qsl(self.style, strict_parsing=True)} if self.style else {}


_RECORDED = "recording"


def join_voices(voices: Iterable[str]) -> str:
    """Voices as one value of a table, sorted; a comma in a name, such as a recording's speaker, is written `%2C`."""
    return ",".join(voice.replace("%", "%25").replace(",", "%2C") for voice in sorted(set(voices)))


def split_voices(joined: str) -> list[str]:
    """The voices of a table's value."""
    return [voice.replace("%2C", ",").replace("%25", "%") for voice in joined.split(",") if voice]


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word of a recording, in seconds from the start of its part."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Recording:
    """A real recording instead of synthesis: a part of one channel of an audio file, at a path or fsspec URL."""

    path: str
    start_s: float = 0.0
    duration_s: float | None = None
    """None: to the end of the file."""
    channel: int = 0
    speaker: str = ""
    """The speaker, if known: a user's recordings stay in one split."""
    words: tuple[TimedWord, ...] = ()
    """An alignment, if there is one."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One speaker's turn. `text` is as written, `spoken` as read by a voice; stages fill in the rest.

    An aside does not take the floor: a backchannel ("mm-hm") or a false start is heard during the other speaker's
    preceding turn, side talk before the user's turn. A turn added by a stage has no `text`. An answer in several
    turns has its text in the first of them."""

    speaker: Speaker
    text: str
    spoken: str = ""
    voice: str = ""
    """The string form of a `Voice`; empty until it is chosen."""
    event: Event | None = None
    """Set by the input if not None: `barge_in` makes this user turn interrupt the agent, `turn` prevents that, and
    the others make it an aside of that kind."""
    gap_s: float | None = None
    """Set by the input if not None: seconds of silence before this turn."""
    may_wait: bool = False
    """For a barge-in: if the agent's turn before it is too short to be cut, it waits for its end, like any turn."""
    recording: Recording | None = None
    """Used instead of a synthesized voice; `text` is its transcript."""
    edit: Edit | None = None
    """What `speak` did to it, if it changed the text."""
    after_words: int | None = None
    """For a turn that starts during the agent's preceding turn: the number of that turn's words said by then. None:
    `schedule` chooses its place. Without room, an aside is dropped, and a barge-in waits for the end."""
    disfluencies: tuple[Disfluency, ...] = ()
    """In the order of their words."""
    left_out: tuple[str, ...] = ()
    """Contents of the text that are not read aloud: `code` and `table`, replaced by a phrase, and `stage direction`."""
    act: Act = ""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A text dialogue. `source` is its origin: the file's name and the position in it, from 1."""

    id: str
    turns: tuple[Turn, ...]
    system_prompt: str = ""
    source: str = ""
    split: str = ""
    """Set by the input if not empty; else chosen by `ingest`."""
    direction: Direction | None = None
    """None without a director."""
    wordless_turns: int = 0
    """Number of turns with nothing to say, such as a single emoji, that `speak` dropped."""
    language: str = ""
    """The language, as an ISO 639-1 code; empty if the recipe sets none."""
    labels: Mapping[str, Label] = field(default_factory=Labels, hash=False)
    """What stages say about the dialogue, by name; `stages.base.labeled` sets them. Raises TypeError and ValueError as
    `Labels` does, to which they are converted."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", Labels(self.labels))


@dataclass(frozen=True, slots=True)
class Span:
    """A span of a channel, in samples: a pause, relative to its segment's start, or a burst of noise."""

    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Noise:
    """Synthetic noise on the user's channel: a steady background, and short bursts."""

    kind: str
    snr_db: float
    """Level of the user's speech relative to the background."""
    bursts: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Word:
    """A spoken word, in samples from the start of its speech or segment."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Speech:
    """A synthesized turn: mono int16 samples at `rate`, trimmed of silence, and its word times."""

    samples: Annotated[np.ndarray, ArrayOf("rate")]
    rate: int
    words: tuple[Word, ...]
    word_times: Literal["engine", "aligned", "estimated"] = "engine"


@dataclass(frozen=True, slots=True)
class SpokenDialogue:
    """A dialogue with one `Speech` for each of its turns; `reference` is a separate recording of the agent's voice, if
    requested."""

    dialogue: Dialogue
    speech: tuple[Speech, ...]
    reference: Speech | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """The span of a turn in samples of its speaker's channel: the timeline's form of a supervision.

    `words` are those heard completely; a turn that was cut off keeps the full text in `text_full`, and `cut_word` is
    the word that is cut. Times of words and of `pauses` are relative to the segment's start; pauses are silences
    inserted into the speech, included in `length`."""

    turn: int
    speaker: Speaker
    start: int
    length: int
    text_full: str
    words: tuple[Word, ...]
    event: Event = "turn"
    cut_off: bool = False
    cut_word: Word | None = None
    pauses: tuple[Span, ...] = ()

    @property
    def end(self) -> int:
        return self.start + self.length

    @property
    def text_heard(self) -> str:
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class Timeline:
    """A dialogue placed in time: segments ordered by start, in a whole number of 80 ms frames."""

    spoken: SpokenDialogue
    segments: tuple[Segment, ...]
    frames: int


@dataclass(frozen=True, slots=True)
class Checks:
    """Results of comparing the audio with the labels; None or empty if not requested."""

    clipped: float | None = None
    """Share of clipped speech samples in the worse channel."""
    edge_errors_s: tuple[float, ...] = ()
    """From the start and the end of each segment to the detected start and end of speech."""
    least_heard: float | None = None
    """The smallest detected share of a turn's labeled speech."""
    extra_s: float | None = None
    """The longest stretch of detected speech without a label."""
    user_wers: tuple[float, ...] = ()
    """The word error rate of each user turn, without backchannels."""
    agent_wers: tuple[float, ...] = ()
    coded_wers: tuple[float, ...] = ()
    """The same for the agent's turns, before and after the codec."""


@dataclass(frozen=True, slots=True)
class DuplexDialogue:
    """Two channels of equal length.

    `user` is int16 (frames × 1 280,) at 16 kHz, `agent` int16 (frames × 1 764,) at 22.05 kHz.
    `uncut` has the speech of each cut-off agent segment, in order, as it would have continued: int16 at 22.05 kHz, from the
    segment's start to some time after its end. `reference`, if there is one, is the agent's voice speaking another text: int16 at
    22.05 kHz. `noise` is None if there is no synthetic noise on the user's channel; `sound` describes the other effects, in which
    case `dry` is the channel before them and any noise: int16 at 16 kHz.
    """

    timeline: Timeline
    user: SourceAudio
    agent: TargetAudio
    uncut: tuple[TargetAudio, ...] = ()
    reference: TargetAudio | None = None
    noise: Noise | None = None
    sound: Sound = field(default_factory=Sound)
    dry: SourceAudio | None = None
    checks: Checks | None = None

    @property
    def dialogue(self) -> Dialogue:
        return self.timeline.spoken.dialogue


@dataclass(frozen=True, slots=True)
class TokenizedDialogue(DuplexDialogue):
    """A duplex dialogue with the agent channel's codes: int16 (frames, 4). The uncut speech and the dry channel are no
    longer needed."""

    codes: Annotated[np.ndarray, ArrayOf(None)] = field(kw_only=True)

    @classmethod
    def of(cls, record: DuplexDialogue, codes: np.ndarray) -> "TokenizedDialogue":
        kept = {part.name: getattr(record, part.name) for part in fields(DuplexDialogue)}
        return cls(**kept | {"uncut": (), "dry": None}, codes=codes)


Record = Dialogue | SpokenDialogue | Timeline | DuplexDialogue
"""The records passed between stages."""


def dialogue_of(record: Record) -> Dialogue:
    """The dialogue in a record of any stage."""
    if isinstance(record, Dialogue):
        return record
    return record.spoken.dialogue if isinstance(record, Timeline) else record.dialogue


@dataclass(frozen=True, slots=True)
class Rejected:
    """A dialogue rejected by a stage: a reason code for counting, and a sentence for the user."""

    id: str
    source: str
    stage: str
    reason: str
    message: str
    traceback: str = ""
    """The traceback if the stage raised (reason `stage_failed`)."""


class BadDialogue(ValueError):
    """A dialogue can't be used, for this reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
