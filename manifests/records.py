"""The records that flow between stages, from a written dialogue to a rendered, tokenized one.

    Dialogue ─speak, cast─▶ Dialogue ─synthesize─▶ SpokenDialogue ─schedule─▶ Timeline
             ─render, verify─▶ DuplexDialogue ─tokenize─▶ TokenizedDialogue

Each record holds the one before it, so nothing that an earlier stage knew is lost. Records are immutable; a stage
returns new ones. A dialogue that a stage refuses becomes a `Rejected` and goes no further.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Annotated, Literal
from urllib.parse import parse_qsl

import numpy as np

from manifests.arrays import ArrayOf
from manifests.direction import Direction, Disfluency
from manifests.frames import SOURCE_RATE, TARGET_RATE
from manifests.sound import Sound

Speaker = Literal["user", "agent"]
SPEAKERS: tuple[Speaker, Speaker] = ("user", "agent")
Event = Literal["turn", "barge_in", "backchannel", "false_start", "side_talk"]
Edit = Literal["shortened", "part", "added"]
"""What a stage made of a turn: the beginning of a longer one, a part of one, or a user's "go on" before the next part."""
DURING: frozenset[str] = frozenset({"backchannel", "false_start"})
"""Said while the other speaker's turn before it goes on, and no reason to stop: "mm-hm", or a start that the user
gives up."""
ASIDES: frozenset[str] = DURING | {"side_talk"}
"""What takes no floor. Side talk is meant for somebody else, and stands between turns."""
Act = Literal["", "wait", "stop", "go_on", "resume", "reprompt"]
"""What a turn is for, where that decides on the next: the user has the agent wait, or stop, for good or until "go
on", and the agent resumes; or the agent asks again after a long silence."""
SourceAudio = Annotated[np.ndarray, ArrayOf(SOURCE_RATE)]
"""int16 samples at 16 kHz, the user's rate."""
TargetAudio = Annotated[np.ndarray, ArrayOf(TARGET_RATE)]
"""int16 samples at 22.05 kHz, the agent's rate."""
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks, and how. Splits share no speaker; which speakers and styles there are is the engine's to say.

    Recipes, turns, cuts and tables name a voice by its string form: `slt?pitch=110&rate=95` is the speaker slt in the
    style `pitch=110&rate=95`, `recording:anna` is the speaker of a recording, `recording` one whom nobody named."""

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
        """A style of whole numbers, `pitch=110&rate=95`, by their names; raises ValueError if it is another."""
        return {key: int(value) for key, value in parse_qsl(self.style, strict_parsing=True)} if self.style else {}


_RECORDED = "recording"


def join_voices(voices: Iterable[str]) -> str:
    """Voices as one value of a table, sorted; a comma in a name, as a recording's speaker may have, is written `%2C`."""
    return ",".join(voice.replace("%", "%25").replace(",", "%2C") for voice in sorted(set(voices)))


def split_voices(joined: str) -> list[str]:
    """The voices of a table's value."""
    return [voice.replace("%2C", ",").replace("%25", "%") for voice in joined.split(",") if voice]


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word of a recording, in seconds from the start of its stretch."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Recording:
    """A real recording in place of synthesis: a stretch of one channel of an audio file, at a path or fsspec URL."""

    path: str
    start_s: float = 0.0
    duration_s: float | None = None
    """None: to the file's end."""
    channel: int = 0
    speaker: str = ""
    """Who speaks, where that is known: a user's recordings stay in one split."""
    words: tuple[TimedWord, ...] = ()
    """An alignment, where there is one."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One speaker's turn. `text` is as written, `spoken` as a voice reads it; the rest is filled in by stages.

    An aside takes no floor: a backchannel ("mm-hm") or a false start is heard while the other speaker's turn before
    it goes on, side talk before the user's turn. A turn that a stage has put in has no `text`. An answer in several
    turns has its text with the first of them."""

    speaker: Speaker
    text: str
    spoken: str = ""
    voice: str = ""
    """The string form of a `Voice`; empty until there is one."""
    event: Event | None = None
    """Fixed by the input where not None: `barge_in` makes this user turn interrupt the agent, `turn` forbids it, and
    the others make it an aside of that kind."""
    gap_s: float | None = None
    """Fixed by the input where not None: seconds of silence before this turn."""
    may_wait: bool = False
    """Of a barge-in: where the agent's turn before it is too short to be cut, it waits for its end, as any turn does."""
    recording: Recording | None = None
    """Heard instead of a synthesized voice; `text` says what it holds."""
    edit: Edit | None = None
    """What `speak` made of it, where that is not just what was written."""
    after_words: int | None = None
    """Of one that begins during the agent's turn before it: so many of that turn's words are said by then. None:
    `schedule` finds its place. Where there is no room there, an aside is left out, and who would barge in waits for
    the end."""
    disfluencies: tuple[Disfluency, ...] = ()
    """In the order of their words."""
    left_out: tuple[str, ...] = ()
    """What stands in the text and is not read out: `code` and `table`, in place of which a phrase is spoken, `stage
    direction`."""
    act: Act = ""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A text dialogue. `source` says where it was read: the file's name and the position in it, counted from 1."""

    id: str
    turns: tuple[Turn, ...]
    system_prompt: str = ""
    source: str = ""
    split: str = ""
    """Fixed by the input where not empty; else given by `ingest`."""
    direction: Direction | None = None
    """None if no director has seen it."""
    wordless_turns: int = 0
    """So many turns had nothing to say, such as an emoji alone, and `speak` left them out."""
    language: str = ""
    """What it is read in, as an ISO 639-1 code; empty if the recipe names none."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a channel, in samples: a pause, counted from its segment's start, or a burst of noise."""

    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Noise:
    """What lies under the user's channel: a steady background, and short bursts."""

    kind: str
    snr_db: float
    """Level of the user's speech above the background."""
    bursts: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it is heard, in samples from the start of its speech or segment."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Speech:
    """A synthesized turn: mono int16 samples at `rate`, trimmed of silence, and its words in time."""

    samples: Annotated[np.ndarray, ArrayOf("rate")]
    rate: int
    words: tuple[Word, ...]
    word_times: Literal["engine", "aligned", "estimated"] = "engine"


@dataclass(frozen=True, slots=True)
class SpokenDialogue:
    """A dialogue with one `Speech` for each of its turns; `reference` is the agent's voice apart from it, where asked
    for."""

    dialogue: Dialogue
    speech: tuple[Speech, ...]
    reference: Speech | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """Where a turn is heard, in samples of its speaker's channel: the timeline's form of a supervision.

    `words` are those heard whole; a turn that was cut off keeps the rest in `text_full`, and `cut_word` is the word
    that the cut falls into. Word times count from the segment's start, and so do `pauses`: silences put into the
    speech, which are part of `length`."""

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
    """A dialogue laid out in time: segments ordered by start, in a whole number of 80 ms frames."""

    spoken: SpokenDialogue
    segments: tuple[Segment, ...]
    frames: int


@dataclass(frozen=True, slots=True)
class Checks:
    """What was found in the audio, beside the labels; None or empty if it was not asked for."""

    clipped: float | None = None
    """Share of the speech's samples that are cut off at a channel's extreme, in the worse channel."""
    edge_errors_s: tuple[float, ...] = ()
    """From the start and the end of each segment to where speech is heard to start and to end."""
    least_heard: float | None = None
    """Of the turn of which least is heard: the share of its labeled speech in which speech is heard."""
    extra_s: float | None = None
    """The longest stretch of speech heard where no label has any."""
    user_wers: tuple[float, ...] = ()
    """The word error rate of each turn of the user; backchannels are left out."""
    agent_wers: tuple[float, ...] = ()
    coded_wers: tuple[float, ...] = ()
    """The same of the agent's turns, before and after the codec."""


@dataclass(frozen=True, slots=True)
class DuplexDialogue:
    """Two channels of equal length.

    `user` is int16 (frames × 1 280,) at 16 kHz, `agent` int16 (frames × 1 764,) at 22.05 kHz.
    `uncut` holds the speech of each cut-off agent segment, in order, as it would have gone on: int16 at 22.05 kHz, from the
    segment's start to some time after its end. `reference`, where there is one, is the agent's voice saying something else: int16 at
    22.05 kHz. `noise` is None if there is no synthetic noise under the user's channel; `sound` says what else befell it, and
    then `dry` is the channel as it was before that and any noise: int16 at 16 kHz.
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
    """A duplex dialogue with the agent channel's codes: int16 (frames, 4). The uncut speech and the dry have served
    their ends."""

    codes: Annotated[np.ndarray, ArrayOf(None)] = field(kw_only=True)

    @classmethod
    def of(cls, record: DuplexDialogue, codes: np.ndarray) -> "TokenizedDialogue":
        kept = {part.name: getattr(record, part.name) for part in fields(DuplexDialogue)}
        return cls(**kept | {"uncut": (), "dry": None}, codes=codes)


Record = Dialogue | SpokenDialogue | Timeline | DuplexDialogue
"""What flows between stages."""


def dialogue_of(record: Record) -> Dialogue:
    """The dialogue that a record of any stage carries."""
    if isinstance(record, Dialogue):
        return record
    return record.spoken.dialogue if isinstance(record, Timeline) else record.dialogue


@dataclass(frozen=True, slots=True)
class Rejected:
    """A dialogue that a stage refused: a reason code to count by, and a sentence for a person."""

    id: str
    source: str
    stage: str
    reason: str
    message: str
    traceback: str = ""
    """Of a stage that raised (reason `stage_failed`)."""


class BadDialogue(ValueError):
    """Raised by what reads or speaks a dialogue: it can't be used, for this reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
