"""A director without a model: events from cues in the text, drawn per dialogue.

A user who objects does so right after the statement in question; one who is given numbers or a list asks whether they
heard it right, and gets an answer. Users say "mm-hm" at the end of a sentence, search for words before a number or a
conjunction, and mix up small numbers, days and months, and correct themselves. English only."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pydantic import Field

from manifests.errors import RequestError
from manifests.records import Dialogue
from manifests.words import words_of
from stages.base import draw
from stages.directing.script import APART, FIRST, LEFT, LONGEST, LONGEST_REPLY, Event, Kind, Line, Script, lines_of
from stages.director import Director, DirectorSettings
from stages.text.languages import ENGLISH, name_of

_OBJECTS = re.compile(
    r"(oh |but |um |hmm |okay |well )?(wait|actually|sorry|hold on|hang on|stop|but|no|not|that's not)\b"
)
"""The beginning of a turn that objects to what was said."""
_ANSWERS = ("no", "not", "actually", "but")
"""After a question, this is its answer."""

_ONES = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("January", "February", "March", "April", "June", "July", "August", "September", "October", "November", "December")  # fmt: skip
_MIXED_UP = (_ONES, _DAYS, _MONTHS)
_NUMBERS = frozenset(
    words_of(
        "zero one thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
        "hundred thousand million billion point oh"
    )
) | {*_ONES}

_SORRY = frozenset(words_of("unfortunately afraid died broken lost worse failed cancelled canceled sadly"))
_GOOD = frozenset(words_of("great congratulations perfect wonderful free won glad lovely"))
_BACKCHANNELS = {
    "sorry": ("oh no", "oh", "hmm"),
    "good": ("oh nice", "great", "oh good"),
    "told": ("okay", "got it", "right"),
    "": ("mm-hm", "uh-huh", "yeah", "right", "mm"),
}
_ORDERS = frozenset(
    words_of(
        "turn press click take go open close follow add put call check choose enter hold leave let's make pick pull push select set start "
        "stop try use wait write first then next"
    )
)
"""The beginning of a sentence that gives an instruction."""

_ASKS = ("Sorry, did you say {}?", "Wait, {}?", "Hang on, {}?", "Sorry, {}?")
_FILLERS = ("um", "uh", "er")
_BEFORE = frozenset(words_of("about and around because but for from like maybe or so to with"))
_QUESTION = frozenset(words_of("can could do does how is so what when where which who why would"))
_CORRECTS = ("{}, no, sorry", "{}, I mean", "{}, wait, no", "{}, no")

_LONG_TURN = 14
"""Shorter agent turns get no backchannel."""
_LONG_ENOUGH = 5
"""Shorter user turns get no hesitation."""
_JOINS = frozenset(words_of("and but for if in of or so that then to when which who you"))
"""A list item never begins like this."""
_ITEM = 6
"""Maximum number of words of an item that the user asks about."""


class RulesSettings(DirectorSettings):
    cue_share: float = Field(default=0.5, ge=0, le=1, description="share of the places with a cue that get an event")


class RulesDirector(Director[RulesSettings]):
    """Direct by cues in the text."""

    @property
    def name(self) -> str:
        return "rules"

    @classmethod
    def check(cls, settings: RulesSettings) -> None:
        if settings.language != ENGLISH:
            raise RequestError(
                f"The director's rules know only English cues, but the recipe's language is {name_of(settings.language)} "
                "(ingest.language); leave the director out, or let an LLM direct."
            )

    def scripts(self, dialogues: Sequence[Dialogue]) -> list[Script]:
        own = self.settings
        return [
            by_rules(lines_of(d), own.kinds, own.max_events, own.cue_share, draw(self.seed, d.id, "director"))
            for d in dialogues
        ]


@dataclass(frozen=True, slots=True)
class _Said:
    """An agent's turn: its words, without marks and small, and where its clauses and sentences end, in words."""

    line: Line
    bare: tuple[str, ...]
    clauses: tuple[int, ...]
    sentences: tuple[int, ...]


def by_rules(lines: Sequence[Line], kinds: Sequence[Kind], most: int, share: float, random: random.Random) -> Script:
    """At most `most` events of these kinds, at a `share` of the places with a cue."""
    found = [event for event in _cues(lines, random) if random.random() < share and event.kind in kinds]
    kept: list[Event] = []
    for event in sorted(found, key=lambda e: KIND_ORDER[e.kind]):
        if not any(_collide(event, other) for other in kept):
            kept.append(event)
    if len(kept) > most:
        kept = random.sample(kept, most)
    return Script(events=sorted(kept, key=lambda e: (e.turn, e.after_word)))


KIND_ORDER: dict[Kind, int] = {"interruption": 0, "self_correction": 1, "backchannel": 2, "hesitation": 3}
"""Of two colliding events, the rarer one is kept."""


def _collide(one: Event, other: Event) -> bool:
    if one.turn != other.turn:
        return False
    if "interruption" in (one.kind, other.kind):
        first, last = sorted((one, other), key=lambda e: e.after_word)
        return first.kind == "interruption" or last.after_word - first.after_word < APART
    return abs(one.after_word - other.after_word) < (APART if one.kind == "backchannel" else 2)


def _cues(lines: Sequence[Line], random: random.Random) -> Iterator[Event]:
    """At most one event of each kind per turn, at a cue for it; a turn may have several backchannels."""
    for number, line in enumerate(lines, 1):
        if not line.open:
            continue
        if line.speaker == "user":
            yield from _hesitation(number, line, random)
            yield from _self_correction(number, line, random)
        else:
            said = _said(line)
            following = lines[number] if line.next_may_interrupt else None
            yield from _interruption(number, said, following, random)
            yield from _backchannels(number, said, random)


def _said(line: Line) -> _Said:
    ends = [n for n, word in enumerate(line.words, 1) if word[-1] in ".,?!;:"]
    sentences = [n for n in ends if line.words[n - 1][-1] in ".?!"]
    return _Said(line, tuple(map(_bare, line.words)), tuple(ends), tuple(sentences))


def _bare(word: str) -> str:
    return word.rstrip(".,?!;:").lower()


def _interruption(number: int, said: _Said, following: Line | None, random: random.Random) -> Iterator[Event]:
    last = len(said.bare) - LEFT["interruption"]
    objects = following and _OBJECTS.match(" ".join(words_of(following.text)))
    if following and objects:
        places = [end for end in said.clauses if FIRST <= end <= last]
        answers = said.line.words[-1].endswith("?") and objects[2] in _ANSWERS
        if places and not answers:
            place = max(places, key=lambda end: (_shared(said, end, following), end))
            yield Event(kind="interruption", turn=number, after_word=place, says="", reply="")
        return
    heard = [(a, b) for a, b in [*_number_runs(said), *_items(said)] if FIRST <= b <= last]
    heard = [(a, b) for a, b in heard if len(said.bare) - a + 1 <= LONGEST_REPLY]
    if heard:
        start, end = random.choice(heard)
        what = " ".join(said.line.words[start:end]).rstrip(".,?!;:")
        asks = random.choice(_ASKS).format(what)
        if len(asks.split()) <= LONGEST["interruption"][1]:
            reply = f"Yes, {' '.join(said.line.words[start:])}"
            yield Event(kind="interruption", turn=number, after_word=end, says=asks, reply=reply)


def _shared(said: _Said, end: int, following: Line) -> int:
    """How many words of the clause that ends there are repeated by the next turn."""
    start = max((other for other in said.clauses if other < end), default=0)
    long = {word for word in map(_bare, following.words) if len(word) > 3}
    return len(long & {*said.bare[start:end]})


def _number_runs(said: _Said) -> Iterator[tuple[int, int]]:
    """Numbers of two or more words, with the following word if the clause continues: (first word, word after the
    last)."""
    for start, end in pairwise([0, *said.clauses]):
        numbers = [n for n in range(start, end) if said.bare[n] in _NUMBERS]
        joined = [n for n in range(start + 1, end - 1) if said.bare[n] == "and" and {n - 1, n + 1} <= {*numbers}]
        run = sorted({*numbers, *joined})
        if len(run) > 1 and run[-1] - run[0] == len(run) - 1:
            yield run[0], min(run[-1] + 2, end)


def _items(said: _Said) -> Iterator[tuple[int, int]]:
    """The second item of each list with four or more."""
    start = 0
    for sentence in said.sentences:
        commas = [end for end in said.clauses if start < end <= sentence and said.line.words[end - 1][-1] == ","]
        first, second, third = [*commas[:3], 0, 0, 0][:3]
        short = max(second - first, third - second) <= _ITEM and len(" ".join(said.bare[first:second])) > 3
        if third and short and said.bare[first] not in _JOINS:
            yield first, second
        start = sentence


def _backchannels(number: int, said: _Said, random: random.Random) -> Iterator[Event]:
    if len(said.bare) < _LONG_TURN:
        return
    for start, end in zip((0, *said.sentences), said.sentences, strict=False):
        if APART <= end <= len(said.bare) - LEFT["backchannel"] and said.line.words[end - 1][-1] != "?":
            says = random.choice(_BACKCHANNELS[_tone(said.bare[start:end])])
            yield Event(kind="backchannel", turn=number, after_word=end, says=says)


def _tone(sentence: Sequence[str]) -> str:
    if _SORRY & {*sentence}:
        return "sorry"
    if _GOOD & {*sentence}:
        return "good"
    return "told" if sentence[0] in _ORDERS else ""


def _hesitation(number: int, line: Line, random: random.Random) -> Iterator[Event]:
    bare = [_bare(word) for word in line.words]
    if len(bare) < _LONG_ENOUGH or {*bare} & {*_FILLERS}:
        return
    places = [n for n in range(1, len(bare)) if bare[n - 1] in _BEFORE or _starts_number(bare, n)]
    if bare[0] in _QUESTION:
        places.append(0)
    if places:
        place = random.choice(places)
        yield Event(kind="hesitation", turn=number, after_word=place, says=random.choice(_FILLERS))


def _starts_number(bare: Sequence[str], at: int) -> bool:
    return bare[at] in _NUMBERS - {"one", "oh", "point"} and (at == 0 or bare[at - 1] not in _NUMBERS)


def _self_correction(number: int, line: Line, random: random.Random) -> Iterator[Event]:
    bare = [word.rstrip(".,?!;:") for word in line.words]
    places = [(n, own) for n, word in enumerate(bare) for own in _MIXED_UP if word in own and _alone(bare, n)]
    if places:
        place, own = random.choice(places)
        wrong = random.choice([word for word in own if word != bare[place]])
        says = random.choice(_CORRECTS).format(wrong)
        yield Event(kind="self_correction", turn=number, after_word=place, says=says)


def _alone(bare: Sequence[str], at: int) -> bool:
    """Whether it is not part of a longer number or of a date."""
    beside = [*bare[max(0, at - 1) : at], *bare[at + 1 : at + 2]]
    return not any(word.lower() in _NUMBERS or word in _MONTHS for word in beside)
