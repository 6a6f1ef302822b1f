"""ingest: files → dialogues, validated, de-duplicated and split.

The only stage that must see all dialogues at once, since a duplicate may stand anywhere; so it runs in the driver, over
text alone.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pydantic import Field, model_validator

from manifests.formats import parse_dialogue
from manifests.raw_records import BrokenRecord
from manifests.recordings import found_beside
from manifests.records import BadDialogue, Dialogue, Rejected
from manifests.sources import Source, UnreadableInput, base_name, expand
from manifests.words import words_of
from stages.base import Settings

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")


class IngestSettings(Settings):
    validation: float = Field(default=0.05, ge=0, lt=1, description="share of the dialogues held out for validation")
    test: float = Field(default=0.05, ge=0, lt=1, description="share of the dialogues held out for testing")
    takes: int = Field(
        default=1,
        ge=1,
        le=1_000,
        description="how often each dialogue is performed, each time with another voice and timing",
    )
    max_turns: int = Field(default=100, ge=2, description="a dialogue with more turns is rejected")
    max_turn_characters: int = Field(
        default=2_000, ge=1, description="a dialogue with a longer written turn is rejected"
    )

    @model_validator(mode="after")
    def _shares_leave_a_training_split(self) -> "IngestSettings":
        if self.validation + self.test >= 1:
            raise ValueError("'validation' and 'test' together must stay under 1")
        return self


@dataclass(frozen=True, slots=True)
class Ingested:
    """What came in: dialogues in input order, each with its split; what was refused; and each file's fingerprint.

    `read` counts the records found, each as often as it is to be performed: it equals the dialogues plus the rejected.
    """

    dialogues: list[Dialogue]
    rejected: list[Rejected]
    fingerprints: dict[str, str]
    read: int


def ingest(inputs: Iterable[str], settings: IngestSettings, seed: int, limit: int | None = None) -> Ingested:
    """Read dialogues from files or URLs, at most `limit` records; raises `UnreadableInput` where a file can't be opened.

    A dialogue that repeats an earlier one's id, or its words once case and punctuation are set aside, is rejected: a
    repeated text in two splits would leak the test into the training. Takes of a dialogue are kept to one split.
    """
    read_dialogues: list[Dialogue] = []
    rejected: list[Rejected] = []
    fingerprints: dict[str, str] = {}
    ids: dict[str, str] = {}
    texts: dict[bytes, str] = {}
    read = 0
    for url in expand(list(inputs)):
        origin = Source(url)
        for position, raw in origin.records(None if limit is None else limit - read):
            read += 1
            source, fallback = f"{origin.name}:{position}", f"{base_name(url)}-{position:06d}"
            claimed = str(raw["id"]) if isinstance(raw, dict) and raw.get("id") else fallback
            try:
                dialogue = _checked(raw, source, fallback, settings, url)
                takes = [dialogue.id, *(f"{dialogue.id}-take{n}" for n in range(2, settings.takes + 1))]
                if taken := [id for id in takes if id in ids]:
                    raise BadDialogue("duplicate_id", f"The id {taken[0]} was already used at {ids[taken[0]]}.")
                key = text_key(dialogue)
                if key in texts:
                    raise BadDialogue("duplicate_text", f"The same words were already read at {texts[key]}.")
            except BadDialogue as error:
                rejected.append(Rejected(claimed, source, "ingest", error.reason, str(error)))
                continue
            texts[key] = source
            ids |= dict.fromkeys(takes, source)
            read_dialogues.append(dialogue)
        fingerprints[f"{len(fingerprints) + 1}:{origin.name}"] = origin.fingerprint
    if read == 0:
        raise UnreadableInput("The input holds no dialogues at all; check that it is the right file.")
    dialogues = [
        replace(dialogue, id=f"{dialogue.id}-take{take}" if take > 1 else dialogue.id)
        for take in range(1, settings.takes + 1)
        for dialogue in _split(read_dialogues, settings, seed)
    ]
    return Ingested(dialogues, rejected, fingerprints, len(dialogues) + len(rejected))


def _checked(raw: object, source: str, fallback: str, settings: IngestSettings, url: str) -> Dialogue:
    if isinstance(raw, BrokenRecord):
        raise BadDialogue(raw.reason, raw.message)
    dialogue = parse_dialogue(raw, source, fallback)
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
    if len(recorded := _recorded_users(dialogue)) > 1:
        message = f"Its user is recorded as {' and '.join(sorted(recorded))}; a dialogue has one user."
        raise BadDialogue("several_users", message)
    turns = tuple(
        replace(turn, recording=replace(turn.recording, path=found_beside(turn.recording.path, url)))
        if turn.recording
        else turn
        for turn in dialogue.turns
    )
    return replace(dialogue, id=safe_id(dialogue.id), turns=turns)


def _recorded_users(dialogue: Dialogue) -> set[str]:
    """The speakers of the user's recordings, as far as they are known."""
    turns = (turn for turn in dialogue.turns if turn.speaker == "user")
    return {turn.recording.speaker for turn in turns if turn.recording and turn.recording.speaker}


def safe_id(raw: str) -> str:
    """An id that can be a file name anywhere; one that can't as it stands gets its odd characters replaced and a hash."""
    if _SAFE_ID.fullmatch(raw):
        return raw
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", raw).strip("-.")[:80] or "dialogue"
    return f"{clean}-{hashlib.sha256(raw.encode('utf-8', 'replace')).hexdigest()[:10]}"


def text_key(dialogue: Dialogue) -> bytes:
    """A hash of who says which words, whatever the case, punctuation, spacing or Unicode form."""
    lines = (f"{turn.speaker}:{_words(turn.text)}" for turn in dialogue.turns)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "replace")).digest()


def _words(text: str) -> str:
    # A text with no letters or digits at all keeps its symbols: an emoji is not the same as another.
    return " ".join(words_of(text)) or unicodedata.normalize("NFKC", text).casefold()


def _split(dialogues: list[Dialogue], settings: IngestSettings, seed: int) -> list[Dialogue]:
    """Give each dialogue a split, by the rank of a hash of the seed and its words: exact shares, whatever the order.

    A split that the input fixes stays; the shares are of the others. Dialogues with one recorded user stay together, in
    training where they are more than a share has room for.
    """
    together: dict[bytes, list[Dialogue]] = {}
    for dialogue in dialogues:
        if not dialogue.split:
            key = next((f"user:{user}".encode() for user in _recorded_users(dialogue)), text_key(dialogue))
            together.setdefault(key, []).append(dialogue)
    ranked = sorted(together, key=lambda key: hashlib.sha256(f"{seed}\x1f".encode() + key).digest())
    free = sum(map(len, together.values()))
    split_of: dict[str, str] = {}
    for name, share in (("test", settings.test), ("validation", settings.validation)):
        room = round(share * free)
        for group in (together[key] for key in ranked):
            if len(group) <= room and group[0].id not in split_of:
                room -= len(group)
                split_of |= {dialogue.id: name for dialogue in group}
    return [replace(d, split=d.split or split_of.get(d.id, "train")) for d in dialogues]
