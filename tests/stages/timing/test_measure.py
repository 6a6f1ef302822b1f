"""Who speaks when, measured by the documented definitions, and read from files of every kind."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from lhotse import CutSet

from manifests.errors import RequestError
from stages.timing.measure import Timing, Utterance
from stages.timing.sources import recordings


def measured(*utterances: tuple[float, float, str]) -> Timing:
    timing = Timing()
    timing.add([Utterance(*one) for one in utterances], 0.2)
    return timing


def test_gaps_overlaps_pauses_and_contained_utterances() -> None:
    timing = measured(
        (0.0, 1.0, "a"),
        (1.1, 2.0, "a"),  # merged with the previous one
        (2.5, 3.0, "a"),  # after a pause
        (3.4, 6.0, "b"),  # after a gap
        (4.0, 4.5, "a"),  # a backchannel
        (5.5, 8.0, "a"),  # overlaps
        (14.0, 15.0, "b"),  # too long to be a gap
    )
    assert np.allclose(timing.pauses, [0.5])
    assert np.allclose(timing.gaps, [0.4])
    assert np.allclose(timing.overlaps, [0.5])
    assert (timing.contained, timing.left_out, timing.recordings) == (1, 1, 1)
    assert timing.total_s == 15.0 and timing.speech_s == pytest.approx(2 + 0.5 + 2.6 + 0.5 + 2.5 + 1)


def test_of_two_that_start_together_the_shorter_is_contained() -> None:
    assert measured((0.0, 1.0, "a"), (0.0, 2.0, "b"), (2.5, 3.0, "a")).contained == 1


def test_a_profile_names_its_sources() -> None:
    timing = measured((0, 1, "a"), (1.5, 2, "b"), (1.8, 3, "a"), (3.5, 4, "a"))
    profile = timing.profile("mine", 0.2)
    assert (profile.gap_s[10], profile.overlap_s[0], profile.pause_s[20]) == (0.5, 0.2, 0.5)
    assert profile.overlap_share == 0.5
    assert profile.about == "mine: 1 recordings, 0.0 h, 1 gaps, 1 overlaps, 1 pauses, 0 silences over 5 s left out"
    with pytest.raises(ValueError, match="there is no overlap in it"):
        measured((0, 1, "a"), (2, 3, "b")).profile("mine", 0.2)


RTTM = """\
SPEAKER two 1 0.00 1.00 <NA> <NA> b <NA> <NA>
SPEAKER one 1 0.00 1.00 <NA> <NA> a <NA> <NA>
SPKR-INFO one 1 <NA> <NA> <NA> unknown a <NA> <NA>
SPEAKER one 1 1.50 0.50 <NA> <NA> b <NA> <NA>
"""
CTM = "one a 0.0 0.4 hello 0.9\n;; a comment\none a 0.5 0.5 there\none b 1.5 0.5 hi\ntwo b 0 1 yes\n"


@pytest.mark.parametrize(("name", "text"), [("x.rttm", RTTM), ("x.rttm.gz", RTTM), ("x.ctm", CTM)])
def test_files_of_lines_are_read_recording_by_recording(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    found = list(recordings(tmp_path / name))
    assert [sorted({one.speaker for one in own}) for own in found] == [["a", "b"], ["b"]]
    assert max(one.end for one in found[0]) == 2.0


def test_cuts_are_split_at_inserted_pauses(tmp_path: Path, small_corpus) -> None:
    cut = next(iter(small_corpus.cuts("train")))
    cut.recording = cut.custom = None
    turn = cut.supervisions[0]
    turn.custom["pauses"] = [[turn.start + 0.5, 0.3]]
    CutSet.from_cuts([cut]).to_file(tmp_path / "cuts.jsonl")
    (found,) = recordings(tmp_path / "cuts.jsonl")
    assert found[0] == Utterance(turn.start, turn.start + 0.5, turn.speaker)
    assert found[1] == Utterance(turn.start + 0.8, turn.end, turn.speaker)
    assert len(found) == len(cut.supervisions) + 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.rttm", "SPEAKER one 1 zero 1 <NA> <NA> a\n", "line 1, is not a valid RTTM line"),
        ("x.wav", "", "is not a .rttm, .ctm or .jsonl file"),
        ("x.rttm.gz", "plain", "can't be read"),
    ],
)
def test_unreadable_files_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RequestError, match=message):
        list(recordings(tmp_path / name))
