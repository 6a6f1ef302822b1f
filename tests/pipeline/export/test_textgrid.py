"""TextGrids as parsed by two other libraries, RTTM as read by Lhotse: the supervisions, to the digit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import textgrid
from lhotse import SupervisionSet
from praatio import textgrid as praatio

from manifests.corpus import Corpus
from manifests.store import Store
from pipeline.export.dialogue import CorpusDialogue, read_dialogues
from pipeline.export.run import Shard, Written, export
from pipeline.export.textgrid import NO_ROOM, TextGrids


@pytest.fixture(scope="module")
def exported(tmp_path_factory, small_corpus: Corpus) -> Path:
    out = tmp_path_factory.mktemp("export") / "textgrid"
    export(small_corpus, TextGrids(), Store(out))
    return out / "train" / "000000"


@pytest.fixture(scope="module")
def first(small_corpus: Corpus) -> CorpusDialogue:
    return next(read_dialogues(small_corpus, "train", 0))


def written(dialogue: CorpusDialogue, folder: Path) -> tuple[dict, Written]:
    """The tiers of one dialogue by name, as read by praatio."""
    counts = Written()
    TextGrids().write(iter([dialogue]), Shard("train", 0), Store(folder), counts)
    path = folder / "train" / "000000" / f"{dialogue.file_name}.TextGrid"
    grid = praatio.openTextgrid(str(path), includeEmptyIntervals=False)
    return {tier.name: [tuple(entry) for entry in tier.entries] for tier in grid.tiers}, counts


def test_intervals_are_the_supervisions(small_corpus: Corpus, exported: Path) -> None:
    for cut in small_corpus.cuts("train"):
        grid = textgrid.TextGrid()
        grid.read(str(exported / f"{cut.id}.TextGrid"), round_digits=8)
        assert (grid.minTime, grid.maxTime) == (0, cut.duration)
        for tier in grid:
            times = [
                time for interval in tier if tier.name != "events" for time in (interval.minTime, interval.maxTime)
            ]
            assert not times or ((times[0], times[-1]) == (0, cut.duration) and times[1:-1:2] == times[2::2]), (
                "no holes"
            )
        for speaker in ("user", "agent"):
            own = [s for s in cut.supervisions if s.speaker == speaker]
            turns = [(i.minTime, i.maxTime, i.mark) for i in grid.getFirst(speaker) if i.mark]
            assert turns == [(s.start, s.end, s.text_heard) for s in own]
            words = [(i.minTime, i.maxTime, i.mark) for i in grid.getFirst(f"{speaker} words") if i.mark]
            expected = [(w.start, w.end, w.symbol) for s in own for w in s.alignment["word"]]
            cut_words = [
                (s.custom["cut_word"][1], s.end, s.custom["cut_word"][0]) for s in own if "cut_word" in s.custom
            ]
            assert words == sorted(expected + cut_words)
        marked = [(s.start, f"{s.speaker} {s.event}") for s in cut.supervisions if s.event != "turn"]
        marked += [(s.end, f"{s.speaker} cut_off") for s in cut.supervisions if s.cut_off]
        assert [(point.time, point.mark) for point in grid.getFirst("events")] == sorted(marked)


def test_rttm_has_the_turns_on_their_channels(small_corpus: Corpus, exported: Path) -> None:
    for cut in small_corpus.cuts("train"):
        read = SupervisionSet.from_rttm(exported / f"{cut.id}.rttm")
        found = [(s.recording_id, s.start, s.end, s.speaker, s.channel) for s in read]
        channels = {"user": 1, "agent": 2}
        assert found == [(cut.id, s.start, s.end, s.speaker, channels[s.speaker]) for s in cut.supervisions]


def test_the_sound_has_the_user_left_and_the_agent_right(small_corpus: Corpus, exported: Path) -> None:
    for cut in small_corpus.cuts("train"):
        samples, rate = soundfile.read(exported / f"{cut.id}.wav", dtype="int16")
        assert rate == 22_050 and np.array_equal(samples[:, 1], np.rint(cut.load_target_audio()[0] * 32_768))
        user = np.square(cut.load_audio()[0]).sum() / 16_000
        assert np.square(samples[:, 0] / 32_768).sum() / rate == pytest.approx(user, rel=0.01)


def test_pauses_quotes_and_lines_are_kept(first: CorpusDialogue, tmp_path: Path) -> None:
    user = replace(first.turns[0], text_heard='He said: "no"\nand left', pauses=((1.0, 0.25),))
    tiers, counts = written(replace(first, turns=(user, *first.turns[1:])), tmp_path)
    assert tiers["user"][0] == (user.start, user.end, 'He said: "no" and left')
    assert tiers["user pauses"] == [(1.0, 1.25, "pause")]
    assert not +counts.lost


def test_labels_that_do_not_fit_a_tier_are_counted(first: CorpusDialogue, tmp_path: Path) -> None:
    """As in a corpus of other origin, whose turns may overlap."""
    turn = first.turns[0]
    within = replace(turn, start=turn.start + 0.1, end=turn.end - 0.1, words=())
    beyond = replace(turn, start=turn.end - 0.1, end=turn.end + 0.1, words=())
    tiers, counts = written(replace(first, turns=(turn, within, beyond)), tmp_path)
    assert [entry[:2] for entry in tiers["user"]] == [(turn.start, turn.end), (turn.end, beyond.end)]
    assert counts.lost[NO_ROOM] == 1
