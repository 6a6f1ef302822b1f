"""ingest: files → dialogues, validated, de-duplicated and split.

A stream: dialogues are read one by one, and only keys of earlier ones are kept, in a temporary file. A duplicate may be
anywhere, so this stage runs in the driver, on text only.

**Splits.** A dialogue's position between 0 and 1 is a hash of the seed and its key: the recorded user, if there is one, else its
words. The test split takes positions from 0 up, validation from 1 down, each according to its share. So a dialogue's split
depends only on itself, the seed and the shares: more input, another order or other files move nothing; takes and
dialogues that differ only in case or punctuation stay together, and so do those of one recorded user. It also means that a split's size
is random around its share, and that looser near-duplicates (a changed word) may be separated.

One exception makes small inputs usable: in an input with at most `SMALL` dialogues, a requested but empty split
gets the nearest dialogue of `train`, as long as `train` keeps one. More input may move that one back.
"""

import hashlib
import re
import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from pydantic import Field, field_validator, model_validator

from manifests.formats import Found, claimed_id, read_dialogue
from manifests.raw_records import BrokenRecord
from manifests.readers.reading import MOST_NAMES, OTHER
from manifests.recordings import found_beside
from manifests.records import BadDialogue, Dialogue, Rejected, Turn
from manifests.sources import Source, UnreadableInput, base_name, expand, fingerprint_of
from manifests.words import words_of
from stages.base import Settings
from stages.text.language import known, other_language
from stages.text.languages import readable

SMALL = 1_000

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_WHOLE = 1 << 64
_LONGEST = 500


class IngestSettings(Settings):
    validation: float = Field(default=0.05, ge=0, lt=1, description="share of the dialogues held out for validation")
    test: float = Field(default=0.05, ge=0, lt=1, description="share of the dialogues held out for testing")
    takes: int = Field(
        default=1,
        ge=1,
        le=1_000,
        description="how often each dialogue is performed, each time with another voice and timing",
    )
    language: str = Field(
        default="en",
        description="the language of the dialogues, which selects grammar and voices; a dialogue clearly in another language "
        "is rejected; empty: nothing is rejected, and everything is read as English",
    )
    max_turns: int = Field(default=100, ge=2, description="a dialogue with more turns is rejected")
    max_turn_characters: int = Field(
        default=4_000, ge=1, description="a dialogue with a longer written turn is rejected"
    )

    @model_validator(mode="after")
    def _shares_leave_a_training_split(self) -> "IngestSettings":
        if self.validation + self.test >= 1:
            raise ValueError("'validation' and 'test' together must be under 1")
        return self

    @field_validator("language")
    @classmethod
    def _known_language(cls, language: str) -> str:
        if language and language != "en" and not known(language):
            raise ValueError("must be the two-letter code of a language, such as en, or empty")
        return language


class Ingestion:
    """The dialogues of some inputs, and the rejected ones; can be iterated once.

    Dialogues are in input order, each with its id and split, followed by its takes (ids `ID`, `ID-take2`,
    …); so are the rejected ones among themselves. For a small input, the dialogues come last."""

    def __init__(self, urls: Sequence[str], settings: IngestSettings, seed: int, limit: int | None) -> None:
        self._urls, self._settings, self._seed, self._limit = urls, settings, seed, limit
        self.fingerprints: dict[str, str] = {}
        """The SHA-256 of each input's uncompressed content, by number and name; complete at the end."""
        self.read = 0
        """Records found so far, times the number of takes: dialogues and rejected ones."""
        self.shapes: Counter[str] = Counter()
        """Numbers of dialogues by shape, with the names of `manifests.readers.shapes`."""
        self.not_used: Counter[str] = Counter()
        """Counts of the records' contents that are neither spoken nor kept: tools, thoughts, other fields."""

    def __iter__(self) -> Iterator[Dialogue | Rejected]:
        """Raises `UnreadableInput` if a file can't be opened or is damaged, or if all files are empty."""
        held: list[Dialogue] | None = []
        for result in self._distinct():
            if isinstance(result, Rejected):
                self.read += 1
                yield result
            elif held is None:
                yield from self._takes(result, self._split(result))
            else:
                held.append(result)
                if len(held) > SMALL:
                    yield from (take for d in held for take in self._takes(d, self._split(d)))
                    held = None
        for dialogue, split in _with_every_split(held or [], self._settings, self._seed):
            yield from self._takes(dialogue, split)
        if self.read == 0:
            raise UnreadableInput("The input has no dialogues; check that it is the right file.")

    def _distinct(self) -> Iterator[Dialogue | Rejected]:
        """Each record once; those that are not a dialogue, or repeat an earlier one, as `Rejected`."""
        names: Counter[str] = Counter()
        left = self._limit
        with closing(_Seen()) as seen:
            for file, url in enumerate(self._urls):
                source, base = Source(url), base_name(url)
                names[base] += 1
                base = base if names[base] == 1 else f"{base}-{names[base]}"  # two files with one name in two folders
                for position, raw in source.records(left):
                    left = None if left is None else left - 1
                    place, fallback = f"{source.name}:{position}", f"{base}-{position:06d}"
                    try:
                        found = _checked(raw, place, fallback, self._settings, url)
                        dialogue = self._added(found, fallback, (file, base), seen)
                    except BadDialogue as error:
                        id, message = _printable(claimed_id(raw, fallback)), _printable(str(error))
                        yield Rejected(id, place, "ingest", error.reason, message)
                    else:
                        self.shapes[found.shape] += 1
                        self._note(found.not_used)
                        yield dialogue
                self._note(source.not_used)
                self.fingerprints[f"{len(self.fingerprints) + 1}:{source.name}"] = source.fingerprint

    def _added(self, found: Found, fallback: str, file: tuple[int, str], seen: "_Seen") -> Dialogue:
        """A new dialogue. If its id was used in another file, the file's name is added; if it occurs twice in this
        file and belongs to something else, such as a conversation, it is made unique.

        Raises `BadDialogue` if its words were read before, or its id was read before in this file.
        """
        dialogue, (number, base) = found.dialogue, file
        try:
            seen.add(dialogue, self._take_ids(dialogue), number)
        except _TakenId as taken:
            if taken.file == number and found.names_itself:
                raise
            other = f"{dialogue.id}-{base}" if found.names_itself else fallback
            dialogue = replace(dialogue, id=safe_id(other))
            seen.add(dialogue, self._take_ids(dialogue), number)
        return dialogue

    def _note(self, not_used: Mapping[str, int]) -> None:
        for name, times in not_used.items():
            name = _printable(name)
            self.not_used[name if name in self.not_used or len(self.not_used) < MOST_NAMES else OTHER] += times

    def _take_ids(self, dialogue: Dialogue) -> list[str]:
        return [dialogue.id, *(f"{dialogue.id}-take{n}" for n in range(2, self._settings.takes + 1))]

    def _split(self, dialogue: Dialogue) -> str:
        return dialogue.split or _split_at(_place(dialogue, self._seed), self._settings)

    def _takes(self, dialogue: Dialogue, split: str) -> Iterator[Dialogue]:
        for id in self._take_ids(dialogue):
            self.read += 1
            yield replace(dialogue, id=id, split=split)


def ingest(inputs: Iterable[str], settings: IngestSettings, seed: int, limit: int | None = None) -> Ingestion:
    """Read dialogues from files, folders, patterns or URLs, at most `limit` records; raises `UnreadableInput` if
    there is no such input.

    A dialogue that repeats an id of its own file, or the words of an earlier one regardless of case and punctuation,
    is rejected: a repeated text in two splits would leak test data into training. The same id in two files means two
    dialogues."""
    return Ingestion(expand(list(inputs)), settings, seed, limit)


def fingerprints(inputs: Iterable[str]) -> dict[str, str]:
    """An ingestion's fingerprints, computed without parsing the dialogues; raises `UnreadableInput`."""
    return {f"{n}:{Source(url).name}": fingerprint_of(url) for n, url in enumerate(expand(list(inputs)), 1)}


class _TakenId(BadDialogue):
    """An id was used before, in the file with this number."""

    def __init__(self, id: str, place: str, file: int) -> None:
        super().__init__("duplicate_id", f"The id {id} was already used at {place}.")
        self.file = file


class _Seen:
    """Where each id and each text was first read, in a temporary file: about a hundred bytes per dialogue, not in
    memory."""

    def __init__(self) -> None:
        self._keys = sqlite3.connect("", isolation_level=None)
        self._keys.execute("PRAGMA journal_mode = OFF")
        self._keys.execute("PRAGMA synchronous = OFF")
        self._keys.execute("CREATE TABLE seen (key BLOB PRIMARY KEY, place TEXT, file INTEGER) WITHOUT ROWID")

    def add(self, dialogue: Dialogue, ids: Sequence[str], file: int) -> None:
        """Raises `BadDialogue` if its words were seen before, and `_TakenId` if one of its ids was."""
        id_keys = {hashlib.blake2b(id.encode(), digest_size=16).digest(): id for id in ids}
        for key, id in id_keys.items():
            if first := self._first(key):
                raise _TakenId(id, *first)
        text = text_key(dialogue)[:16]
        if first := self._first(text):
            raise BadDialogue("duplicate_text", f"The same words were already read at {first[0]}.")
        rows = ((key, dialogue.source, file) for key in (text, *id_keys))
        self._keys.executemany("INSERT INTO seen VALUES (?, ?, ?)", rows)

    def close(self) -> None:
        self._keys.close()

    def _first(self, key: bytes) -> tuple[str, int] | None:
        """The place, and the file's number."""
        row: tuple[str, int] | None = self._keys.execute(
            "SELECT place, file FROM seen WHERE key = ?", (key,)
        ).fetchone()
        return row


def _checked(raw: object, source: str, fallback: str, settings: IngestSettings, url: str) -> Found:
    if isinstance(raw, BrokenRecord):
        raise BadDialogue(raw.reason, raw.message)
    found = read_dialogue(raw, source, fallback)
    dialogue = found.dialogue
    if len(dialogue.turns) > settings.max_turns:
        message = f"It has {len(dialogue.turns)} turns, over the {settings.max_turns} of ingest.max_turns."
        raise BadDialogue("too_many_turns", message)
    for number, turn in enumerate(dialogue.turns, 1):
        if len(turn.text) > settings.max_turn_characters:
            raise BadDialogue(
                "turn_too_long",
                f"Turn {number} has {len(turn.text)} characters, over the {settings.max_turn_characters} of "
                "ingest.max_turn_characters.",
            )
    if settings.language and (other := other_language(_all_text(dialogue), settings.language)):
        mend = f"; a separate build with ingest.language={other} takes such dialogues" if other in readable() else ""
        message = f"It is in the language '{other}', but ingest.language is '{settings.language}'{mend}."
        raise BadDialogue("language", message)
    if len(recorded := _recorded_users(dialogue)) > 1:
        message = f"Its user's recordings are of {' and '.join(sorted(recorded))}; a dialogue has one user."
        raise BadDialogue("several_users", message)
    if any(turn.recording for turn in dialogue.turns):
        dialogue = replace(dialogue, turns=tuple(_beside(turn, url) for turn in dialogue.turns))
    dialogue = replace(dialogue, id=safe_id(dialogue.id), language=settings.language)
    return replace(found, dialogue=dialogue)


def _beside(turn: Turn, url: str) -> Turn:
    """The turn, with its recording's path resolved relative to the dialogue file."""
    if turn.recording is None:
        return turn
    return replace(turn, recording=replace(turn.recording, path=found_beside(turn.recording.path, url)))


def _printable(text: str) -> str:
    """A text that quotes the input, shortened and with only encodable characters."""
    return text[:_LONGEST].encode("utf-8", "replace").decode()


def _recorded_users(dialogue: Dialogue) -> set[str]:
    """The known speakers of the user's recordings."""
    turns = (turn for turn in dialogue.turns if turn.speaker == "user")
    return {turn.recording.speaker for turn in turns if turn.recording and turn.recording.speaker}


def safe_id(raw: str) -> str:
    """An id that is a valid file name everywhere; otherwise, its odd characters are replaced and a hash is added."""
    if _SAFE_ID.fullmatch(raw):
        return raw
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", raw).strip("-._")[:80] or "dialogue"
    return f"{clean}-{hashlib.sha256(raw.encode('utf-8', 'replace')).hexdigest()[:10]}"


def _all_text(dialogue: Dialogue) -> str:
    return " ".join(turn.text for turn in dialogue.turns)


def text_key(dialogue: Dialogue) -> bytes:
    """A hash of speakers and words, independent of case, punctuation, spacing and Unicode form."""
    lines = (f"{turn.speaker}:{_words(turn.text)}" for turn in dialogue.turns)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "replace")).digest()


def _words(text: str) -> str:
    # A text without letters and digits keeps its symbols: different emoji are different texts.
    return " ".join(words_of(text)) or unicodedata.normalize("NFKC", text).casefold()


def _place(dialogue: Dialogue, seed: int) -> int:
    """A dialogue's position between 0 and `_WHOLE`."""
    key = next((f"user:{user}".encode() for user in _recorded_users(dialogue)), text_key(dialogue))
    return int.from_bytes(hashlib.sha256(f"{seed}\x1f".encode() + key).digest()[:8])


def _split_at(place: int, settings: IngestSettings) -> str:
    if place < round(settings.test * _WHOLE):
        return "test"
    return "validation" if place >= _WHOLE - round(settings.validation * _WHOLE) else "train"


def _with_every_split(
    dialogues: Sequence[Dialogue], settings: IngestSettings, seed: int
) -> Iterator[tuple[Dialogue, str]]:
    """A small input's dialogues and their splits, with no requested split empty if possible."""
    places = {dialogue.id: _place(dialogue, seed) for dialogue in dialogues if not dialogue.split}
    splits = {place: _split_at(place, settings) for place in places.values()}
    fixed = {dialogue.split for dialogue in dialogues}
    for name, share, nearest in (("test", settings.test, min), ("validation", settings.validation, max)):
        train = [place for place, split in splits.items() if split == "train"]
        if share and name not in (*fixed, *splits.values()) and len(train) + ("train" in fixed) > 1:
            splits[nearest(train)] = name
    for dialogue in dialogues:
        yield dialogue, dialogue.split or splits[places[dialogue.id]]
