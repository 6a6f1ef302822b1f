"""Who speaks when, recording by recording, from RTTM and CTM files, Lhotse cuts, and our corpora."""

import gzip
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from lhotse import CutSet, MonoCut

from manifests.errors import RequestError
from manifests.frames import SOURCE_RATE, TARGET_RATE
from manifests.records import Timeline
from stages.timing.measure import Utterance


def recordings(path: Path) -> Iterator[list[Utterance]]:
    """The utterances of each recording; raises `RequestError` for a file of another kind, or an unreadable line."""
    suffixes = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if suffixes in ("rttm", "ctm"):
        yield from _by_line(path, suffixes)
    elif suffixes in ("jsonl", "json"):
        yield from map(of_cut, CutSet.from_file(path))
    else:
        raise RequestError(
            f"{path} is not a .rttm, .ctm or .jsonl file (Lhotse cuts), plain or gzipped; name one of these."
        )


def of_cut(cut: MonoCut) -> list[Utterance]:
    """A cut's supervisions, split at inserted pauses."""
    found = []
    for turn in cut.supervisions:
        start = turn.start
        for begin, length in (turn.custom or {}).get("pauses", ()):
            found.append(Utterance(start, begin, turn.speaker))
            start = begin + length
        found.append(Utterance(start, turn.end, turn.speaker))
    return found


def of_timeline(timeline: Timeline) -> list[Utterance]:
    """The same for a timeline that is not yet a cut."""
    found = []
    for segment in timeline.segments:
        rate = SOURCE_RATE if segment.speaker == "user" else TARGET_RATE
        start = segment.start
        for pause in segment.pauses:
            found.append(Utterance(start / rate, (segment.start + pause.start) / rate, segment.speaker))
            start = segment.start + pause.end
        found.append(Utterance(start / rate, segment.end / rate, segment.speaker))
    return found


def _by_line(path: Path, kind: str) -> Iterator[list[Utterance]]:
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            parsed = [_parse(path, number, line, kind) for number, line in enumerate(file, 1) if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} can't be read: {error}.") from None
    found = sorted((one for one in parsed if one is not None), key=lambda pair: pair[0])
    for _, own in groupby(found, key=lambda pair: pair[0]):
        yield [utterance for _, utterance in own]


def _parse(path: Path, number: int, line: str, kind: str) -> tuple[str, Utterance] | None:
    """(recording, utterance) of a line; None for another kind of line, or a comment."""
    fields = line.split()
    if fields[0].startswith(";;") or (kind == "rttm" and fields[0] != "SPEAKER"):
        return None
    try:
        if kind == "rttm":
            recording, start, length, speaker = fields[1], float(fields[3]), float(fields[4]), fields[7]
        else:  # the channel is the speaker
            recording, speaker, start, length = fields[0], fields[1], float(fields[2]), float(fields[3])
    except (IndexError, ValueError):
        raise RequestError(
            f"{path}, line {number}, is not a valid {kind.upper()} line: {line.strip()[:80]!r}."
        ) from None
    return recording, Utterance(start, start + length, speaker)
