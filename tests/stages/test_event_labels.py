"""Labels of every kind of event match the audio, and the reading that checks this detects labels that do not."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.event_labels import rendered_events
from event_reading import Read, by_kind, read_events

from manifests.pcm import to_float
from manifests.records import DuplexDialogue, TokenizedDialogue
from manifests.shards import build_cut
from manifests.text_channel import text_channel
from salm_duplex_model.evaluation.scores import score, summarize
from salm_duplex_model.tokenizer import BUNDLED, TextTokenizer

INPUT = "pipeline/data/dialogues.jsonl"


@pytest.fixture(scope="module")
def records() -> list[DuplexDialogue]:
    return rendered_events([INPUT], 12, [])


def test_every_label_agrees_with_the_sound(records: list[DuplexDialogue]) -> None:
    kinds = by_kind([one for record in records for one in read_events(record)])
    assert {kind for kind in kinds if not kind.startswith("agent: turn")} >= {
        "agent: backchannel", "agent: reprompt", "agent: yields after word", "agent: yields in word", "user: backchannel",
        "user: false-start", "user: hesitation", "user: pause", "user: side-talk", "user: barge-in",
    }  # fmt: skip
    assert [one for own in kinds.values() for one in own if not one.agrees] == []


def wrong(record: DuplexDialogue, at: int, **changes) -> set[str]:
    """The kinds of label that disagree after a segment's label was changed."""
    segments = [replace(s, **changes) if n == at else s for n, s in enumerate(record.timeline.segments)]
    found: list[Read] = read_events(replace(record, timeline=replace(record.timeline, segments=tuple(segments))))
    return {one.kind for one in found if not one.agrees}


def test_labels_that_are_not_where_the_sound_is_are_noticed(records: list[DuplexDialogue]) -> None:
    seen = set()
    for record in records:
        for at, segment in enumerate(record.timeline.segments):
            late = segment.start + (4_800 if segment.speaker == "user" else 4 * 1_764)
            if segment.event == "backchannel" and segment.speaker not in seen:
                assert f"{segment.speaker}: backchannel" in wrong(record, at, start=late)
                seen.add(segment.speaker)
            if segment.pauses and "pause" not in seen:
                moved = replace(segment.pauses[0], start=segment.pauses[0].start + 4_800)
                assert "user: pause" in wrong(record, at, pauses=(moved, *segment.pauses[1:]))
                seen.add("pause")
    assert seen == {"user", "agent", "pause"}


def test_the_labels_own_agent_is_faultless_by_the_metrics(records: list[DuplexDialogue]) -> None:
    tokenizer = TextTokenizer.load(BUNDLED)
    scores = []
    for record in records:
        codes = np.zeros((record.timeline.frames, 4), np.int16)
        cut = build_cut(TokenizedDialogue.of(record, codes), {})
        tokens = text_channel(cut.supervisions, len(codes), "agent", tokenizer.encode, tokenizer.special).tokens
        scores.append(score(cut, to_float(record.agent), tokens, tokenizer))
    figures = summarize(scores)
    rates = {name: figures[name].value for name in figures if figures[name].n}
    for name in ("barge_in_success_rate", "turn_taking_precision", "turn_taking_recall", "text_turn_taken_rate"):
        assert rates[name] == 1, name
    for name in ("false_alarm_rate", "side_talk_answer_rate", "wait_answer_rate", "unprompted_starts_per_min"):
        assert rates[name] == rates[f"text_{name}"] == 0, name
    assert rates["agent_backchannels_per_min"] > 0
