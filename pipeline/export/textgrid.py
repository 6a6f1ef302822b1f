"""For listening and for Praat: stereo WAV, the user left and the agent right, each with a TextGrid and an RTTM file.

A TextGrid has an interval tier for each speaker's turns, words and pauses, and a point tier for events; silence is an
empty interval, as Praat requires. RTTM has a SPEAKER line per turn, on channel 1 (the user) or 2 (the agent), with
times to 10 ns."""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from praatio.data_classes.interval_tier import IntervalTier
from praatio.data_classes.point_tier import PointTier
from praatio.data_classes.textgrid import Textgrid

from manifests.corpus import Corpus
from manifests.frames import TARGET_RATE
from manifests.records import SPEAKERS
from manifests.store import Store
from pipeline.export.dialogue import CorpusDialogue, CorpusTurn
from pipeline.export.run import Format, Shard, Written, write_absent

NO_ROOM = "intervals of zero length or within another"

Interval = tuple[float, float, str]


class TextGrids(Format):
    name = "textgrid"
    carries = frozenset({"words", "cut-offs", "event labels", "pauses"})

    def write(self, dialogues: Iterator[CorpusDialogue], shard: Shard, out: Store, written: Written) -> None:
        there = set(out.names(shard.name))
        for dialogue in dialogues:
            tiers = {name: _apart(intervals) for name, intervals in interval_tiers(dialogue).items()}
            written.lost.update({NO_ROOM: sum(left_out for _, left_out in tiers.values())})
            grid = partial(_grid, dialogue, {name: intervals for name, (intervals, _) in tiers.items()})
            write = partial(write_absent, out, shard, there)
            write(f"{dialogue.file_name}.wav", partial(dialogue.stereo_wav, *SPEAKERS, TARGET_RATE))
            write(f"{dialogue.file_name}.TextGrid", grid)
            write(f"{dialogue.file_name}.rttm", partial(_rttm, dialogue))

    def finish(self, corpus: Corpus, shards: list[Shard], out: Store) -> list[str]:
        return [f"Praat: Open, Read from file, a .wav and its .TextGrid in {out.at(shards[0].name)}"]


def interval_tiers(dialogue: CorpusDialogue) -> dict[str, list[Interval]]:
    """Intervals by tier name: start and end in seconds, and the label."""
    tiers: dict[str, list[Interval]] = {}
    for speaker in SPEAKERS:
        own = [turn for turn in dialogue.turns if turn.speaker == speaker]
        tiers[speaker] = [(turn.start, turn.end, _label(turn)) for turn in own]
        tiers[f"{speaker} words"] = [(word.start, word.end, word.text) for turn in own for word in turn.words_begun]
        pauses = [(start, round(start + length, 8), "pause") for turn in own for start, length in turn.pauses]
        if pauses:
            tiers[f"{speaker} pauses"] = pauses
    return tiers


def _label(turn: CorpusTurn) -> str:
    """The words heard completely; for a turn cut off in its first word, that word."""
    return turn.text_heard or " ".join(word.text for word in turn.words_begun) or turn.event


def events(dialogue: CorpusDialogue) -> list[tuple[float, str]]:
    """Events by time: the start of each turn with a special event, and the end of each turn that is cut off."""
    found: dict[float, list[str]] = {}
    for turn in dialogue.turns:
        if turn.event != "turn":
            found.setdefault(turn.start, []).append(f"{turn.speaker} {turn.event}")
        if turn.cut_off:
            found.setdefault(turn.end, []).append(f"{turn.speaker} cut_off")
    return [(time, ", ".join(labels)) for time, labels in sorted(found.items())]


def _apart(intervals: list[Interval]) -> tuple[list[Interval], int]:
    """Sorted intervals without overlap, as a tier requires, and how many did not fit."""
    kept: list[Interval] = []
    for start, end, label in sorted(intervals):
        free = max(start, kept[-1][1]) if kept else start
        if free < end:
            kept.append((free, end, " ".join(label.split())))
    return kept, len(intervals) - len(kept)


def _grid(dialogue: CorpusDialogue, tiers: dict[str, list[Interval]]) -> bytes:
    grid = Textgrid(0, dialogue.duration)
    for name, intervals in tiers.items():
        grid.addTier(IntervalTier(name, intervals, 0, dialogue.duration))
    grid.addTier(PointTier("events", events(dialogue), 0, dialogue.duration))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grid"
        grid.save(str(path), "long_textgrid", includeBlankSpaces=True)
        return path.read_bytes()


def _rttm(dialogue: CorpusDialogue) -> bytes:
    lines = (
        f"SPEAKER {dialogue.file_name} {1 + SPEAKERS.index(turn.speaker)} {turn.start:.8f} {turn.end - turn.start:.8f} "
        f"<NA> <NA> {turn.speaker} <NA> <NA>\n"
        for turn in dialogue.turns
    )
    return "".join(lines).encode()
