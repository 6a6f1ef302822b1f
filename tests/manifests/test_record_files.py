from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from any_record import records, same
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.record_files import RecordWriter, UnreadableRecords, read_record_files, read_rejected
from manifests.records import Dialogue, DuplexDialogue, Rejected, Timeline, TokenizedDialogue


def test_every_kind_of_record_comes_back_unchanged(tmp_path, timelines, rendered):
    tokenized = TokenizedDialogue.of(
        rendered[0], np.arange(rendered[0].timeline.frames * 4, dtype=np.int16).reshape(-1, 4)
    )
    written = [timelines[1].spoken.dialogue, timelines[1].spoken, timelines[2], rendered[3], tokenized]
    with RecordWriter(tmp_path) as writer:
        for record in written:
            writer.write(record)
        writer.write(Rejected("x", "f:1", "speak", "empty", "It is empty."))
    read = list(read_record_files(tmp_path))
    assert [type(r) for r in read] == [type(r) for r in written]
    assert read[0] == written[0]
    assert read[2].segments == timelines[2].segments
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(read[1].speech, written[1].speech, strict=True))
    assert np.array_equal(read[3].user, rendered[3].user)
    assert np.array_equal(read[3].agent, rendered[3].agent)
    assert read[4].codes.dtype == np.int16
    assert np.array_equal(read[4].codes, tokenized.codes)
    assert [r.reason for r in read_rejected(tmp_path)] == ["empty"]


def test_a_folder_without_records_and_a_damaged_line_are_reported(tmp_path, timelines):
    with pytest.raises(UnreadableRecords, match=r"contains no records\.jsonl"):
        next(read_record_files(tmp_path))
    with RecordWriter(tmp_path) as writer:
        writer.write(timelines[0].spoken.dialogue)
    with (tmp_path / "records.jsonl").open("a") as file:
        file.write('{"type": "Dialogue", "id"')
    with pytest.raises(UnreadableRecords, match="line 2"):
        list(read_record_files(tmp_path))


def test_a_record_cannot_name_a_file_outside_its_folder(tmp_path, rendered):
    with RecordWriter(tmp_path) as writer:
        writer.write(rendered[0])
    path = tmp_path / "records.jsonl"
    path.write_text(path.read_text().replace("d0-", "../d0-"))
    with pytest.raises(UnreadableRecords, match="not a plain file name"):
        list(read_record_files(tmp_path))


@given(st.lists(records, max_size=4))
@settings(max_examples=60, deadline=None)
def test_any_records_come_back_from_a_folder_unchanged(written):
    with TemporaryDirectory() as folder:
        with RecordWriter(Path(folder)) as writer:
            for number, record in enumerate(written):
                writer.write(renamed(record, f"d{number}"))
        read = list(read_record_files(Path(folder)))
    assert len(read) == len(written)
    assert all(same(one, renamed(record, f"d{i}")) for i, (one, record) in enumerate(zip(read, written, strict=True)))


def renamed(record, id):
    """With its own id, which is part of file names, as from `ingest`."""
    if isinstance(record, Dialogue):
        return replace(record, id=id)
    if isinstance(record, DuplexDialogue):
        return replace(record, timeline=renamed(record.timeline, id))
    if isinstance(record, Timeline):
        return replace(record, spoken=renamed(record.spoken, id))
    return replace(record, dialogue=renamed(record.dialogue, id))


@given(st.lists(st.from_type(Rejected), max_size=4))
def test_any_rejected_dialogues_come_back_unchanged(written):
    with TemporaryDirectory() as folder:
        with RecordWriter(Path(folder)) as writer:
            for one in written:
                writer.write(one)
        assert read_rejected(Path(folder)) == written


def test_a_message_with_a_line_break_of_another_alphabet_is_one_line(tmp_path):
    one = Rejected("d", "f:1", "speak", "empty", "Turn 1\u2028is\x85empty.")
    with RecordWriter(tmp_path) as writer:
        writer.write(one)
    assert read_rejected(tmp_path) == [one]
