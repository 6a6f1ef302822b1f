"""An export contains everything that a dialogue's shard holds, or counts it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from corpus_material import make_corpus

from manifests.records import DuplexDialogue, Noise, Span
from pipeline.export.dialogue import EVERYTHING, read_dialogues


def full(record: DuplexDialogue) -> DuplexDialogue:
    """A dialogue with everything that one may have: a pause, a system prompt, a voice reference, noise and a label."""
    timeline = record.timeline
    user, *rest = timeline.segments
    dialogue = replace(record.dialogue, system_prompt="Be brief.", labels={"calm": True})
    return replace(
        record,
        timeline=replace(
            timeline,
            spoken=replace(timeline.spoken, dialogue=dialogue),
            segments=(replace(user, pauses=(Span(1_600, 3_200),)), *rest),
        ),
        reference=record.agent[22_050:44_100],
        noise=Noise("hum", 12.0, (Span(16_000, 8_000),)),
    )


def test_everything_in_a_cut_is_read_and_counted(tmp_path: Path, rendered: list[DuplexDialogue]) -> None:
    records = [full(record) for record in rendered if any(s.cut_word for s in record.timeline.segments)]
    corpus = make_corpus(tmp_path, records)
    held = set()
    for found, record, cut in zip(read_dialogues(corpus, "train", 0), records, corpus.cuts("train"), strict=True):
        held |= found.holds().keys()
        assert found.frames == record.timeline.frames
        assert found.system_prompt == "Be brief." and found.reference_audio
        assert found.turns[0].pauses == ((round(found.turns[0].start + 0.1, 8), 0.2),)
        assert found.custom == {
            name: cut.custom[name] for name in ("task", "source", "seed", "recipe", "noise", "noise_bursts", "labels")
        }
        assert (
            found.holds()["sound labels"] == 2
            and found.holds()["dialogue labels"] == 1
            and found.holds()["codec frames"] == found.frames
        )
        assert np.array_equal(found.channel("user", 16_000), record.user)
        assert np.array_equal(found.channel("agent", 22_050), record.agent)
        for turn, segment in zip(found.turns, record.timeline.segments, strict=True):
            assert [word.text for word in turn.words] == [word.text for word in segment.words]
            assert (turn.cut_word.text if turn.cut_word else None) == (
                segment.cut_word.text if segment.cut_word else None
            )
            lost = len(segment.text_full.split()) - len(segment.words)
            assert (lost > 0) == turn.cut_off
    assert held == EVERYTHING, "each kind must have been seen"


def test_a_channel_lasts_its_frames_at_any_rate(small_corpus) -> None:
    for dialogue in read_dialogues(small_corpus, "train", 0):
        for rate in (8_000, 16_000, 22_050, 24_000, 44_100):
            assert len(dialogue.channel("user", rate)) == len(dialogue.channel("agent", rate))
            assert len(dialogue.channel("user", rate)) * 25 == dialogue.frames * rate * 2
