import gzip
from dataclasses import replace

import numpy as np
import pytest
from lhotse import CutSet

from manifests.columns import dialogue_row
from manifests.frames import SOURCE_FRAME, TARGET_FRAME
from manifests.records import TokenizedDialogue
from manifests.shard_reader import damaged_file
from manifests.shards import build_cut, write_shard
from manifests.store import Store
from pipeline.report.inspection import inspect_text

PROVENANCE = {"seed": 0, "recipe": "abc"}


@pytest.fixture(scope="module")
def tokenized(rendered):
    """Distinguishable codes; the codec has its own tests."""
    made = []
    for i, record in enumerate(rendered):
        codes = np.random.default_rng(i).integers(0, 4032, (record.timeline.frames, 4), dtype=np.int16)
        made.append(TokenizedDialogue.of(record, codes))
    return made


@pytest.fixture(scope="module")
def shard(tmp_path_factory, tokenized):
    folder = tmp_path_factory.mktemp("shard")
    write_shard(folder, 0, tokenized, PROVENANCE)
    return folder


def test_plain_lhotse_reads_audio_codes_and_timeline(shard, tokenized):
    cuts = list(CutSet.from_shar(in_dir=shard))
    assert [cut.id for cut in cuts] == [t.dialogue.id for t in tokenized]
    for cut, record in zip(cuts, tokenized, strict=True):
        frames = record.timeline.frames
        user, agent = cut.load_audio()[0], cut.load_target_audio()[0]
        assert user.shape == (frames * SOURCE_FRAME,)
        assert agent.shape == (frames * TARGET_FRAME,)
        assert np.array_equal(np.rint(user * 32768), record.user)
        assert np.array_equal(np.rint(agent * 32768), record.agent)
        assert np.array_equal(cut.load_target_codes(), record.codes)
        assert cut.load_target_codes().dtype == np.int16
        assert cut.custom["seed"] == 0
        assert cut.custom["task"] == "s2s_duplex"


def test_supervisions_describe_the_audio(shard, tokenized):
    for cut, record in zip(CutSet.from_shar(in_dir=shard), tokenized, strict=True):
        assert [s.start for s in cut.supervisions] == sorted(s.start for s in cut.supervisions)
        for s, segment in zip(cut.supervisions, record.timeline.segments, strict=True):
            assert (s.speaker, s.custom["text_heard"]) == (segment.speaker, segment.text_heard)
            assert s.custom["text_full"].startswith(s.text)
            assert s.cut_off or s.text == s.custom["text_full"] == segment.text_heard
            assert s.custom["event"] == segment.event
            assert s.custom["cut_off"] == segment.cut_off
            assert s.custom["voice"]
            words = s.alignment["word"]
            assert " ".join(w.symbol for w in words) == segment.text_heard
            assert all(s.start <= w.start and w.end <= s.end for w in words)
            assert s.end <= cut.duration


def test_changes_of_a_turns_text_are_labeled_and_counted(tokenized):
    timeline = tokenized[0].timeline
    assert all("edit" not in s.custom for s in build_cut(tokenized[0], PROVENANCE).supervisions)
    edits = (None, "part", "added", "part")
    turns = tuple(replace(t, edit=edit) for t, edit in zip(timeline.spoken.dialogue.turns, edits, strict=True))
    spoken = replace(timeline.spoken, dialogue=replace(timeline.spoken.dialogue, turns=turns))
    record = replace(tokenized[0], timeline=replace(timeline, spoken=spoken))
    cut, row = build_cut(record, PROVENANCE), dialogue_row(record)
    assert [s.custom.get("edit") for s in cut.supervisions] == list(edits)
    assert (row["shortened_answers"], row["answer_parts"], row["added_turns"]) == (0, 2, 1)
    assert " added " in inspect_text(cut)


def test_the_same_dialogues_give_the_same_bytes(tmp_path, shard, tokenized):
    write_shard(tmp_path, 0, tokenized, PROVENANCE)
    names = sorted(path.name for path in shard.iterdir())
    assert names == [
        "cuts.000000.jsonl.gz",
        "recording.000000.tar",
        "target_audio.000000.tar",
        "target_codes.000000.tar",
    ]
    assert all((tmp_path / name).read_bytes() == (shard / name).read_bytes() for name in names)


def test_a_reference_of_the_agents_voice_is_the_cuts_context_audio(tmp_path, tokenized):
    references = [np.full(22_050 * (2 + i % 3), i, dtype=np.int16) for i in range(len(tokenized))]
    records = [replace(record, reference=reference) for record, reference in zip(tokenized, references, strict=True)]
    write_shard(tmp_path, 0, records, PROVENANCE)
    assert (tmp_path / "context_audio.000000.tar").is_file()
    cuts = CutSet.from_shar(in_dir=tmp_path).to_eager()
    for cut, reference in zip(cuts, references, strict=True):
        assert np.array_equal(np.rint(cut.load_context_audio()[0] * 32768), reference)
    # NeMo's datasets for voice-prompted models take it from there.
    from nemo.collections.speechlm2.data.duplex_ear_tts_dataset import get_audio_prompt

    heard, lengths = get_audio_prompt(cuts, 22_050, {"agent"})
    assert lengths.tolist() == [len(reference) for reference in references]
    assert all(np.array_equal(np.rint(h[:n] * 32768), r) for h, n, r in zip(heard, lengths, references, strict=True))


def test_a_cut_that_lhotse_cannot_read_is_named_with_its_file(tmp_path, tokenized):
    write_shard(tmp_path, 0, tokenized, PROVENANCE)
    assert damaged_file(Store(tmp_path)) is None
    cuts = tmp_path / "cuts.000000.jsonl.gz"
    cuts.write_bytes(gzip.compress(gzip.decompress(cuts.read_bytes()).replace(b'"start"', b'"stamt"', 1)))
    path, reason = damaged_file(Store(tmp_path))
    assert path == str(cuts) and "stamt" in reason
