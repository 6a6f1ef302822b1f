"""Directed dialogues through the stages into the corpus."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from corpus_material import make_corpus
from material import ingested, make_dialogue

from manifests.columns import dialogue_row
from manifests.direction import Direction
from manifests.errors import WorkError
from manifests.records import Dialogue, TokenizedDialogue
from manifests.shards import build_cut
from pipeline.commands.options import SHIPPED
from pipeline.recipe import load_recipe
from pipeline.report.card import card
from pipeline.report.page import report
from stages.directing.rules import RulesDirector, RulesSettings
from stages.ingest import IngestSettings
from stages.speak import Speak, SpeakSettings


def speak(dialogues: list[Dialogue], **settings) -> list[Dialogue]:
    stage = Speak(SpeakSettings.model_validate(settings), 0)
    stage.setup()
    return stage.process(dialogues)


def director(seed: int = 0, **settings) -> RulesDirector:
    stage = RulesDirector(RulesSettings(**settings), seed)
    stage.setup()
    return stage


def direct(dialogues: list[Dialogue], **settings) -> list[Dialogue]:
    return director(**settings).process(dialogues)


@pytest.fixture(scope="module")
def spoken() -> list[Dialogue]:
    bundled = ingested([SHIPPED / "dialogues.jsonl"], IngestSettings(), limit=16).dialogues
    return speak(bundled, backchannel={"share": 1, "turn_share": 1})


def test_the_same_dialogue_has_the_same_events_in_any_batch(spoken):
    stage = director()
    together = stage.process(spoken)
    assert [stage.process([one])[0] for one in spoken] == together
    assert direct(spoken, seed=1) != together
    assert len({d.direction.events for d in together}) > 3
    assert max(d.direction.events for d in together) <= 6


def test_a_share_is_directed_and_the_rest_keeps_the_drawn_events(spoken):
    made = direct(spoken, share=0.5)
    kept = [d for d in made if d.direction is None]
    assert 3 < len(kept) < len(made) - 3
    assert all(d in spoken for d in kept)
    assert any(turn.event == "backchannel" for d in kept for turn in d.turns)
    for dialogue in made:
        if dialogue.direction and dialogue.direction.events:
            asides = [turn for turn in dialogue.turns if turn.event == "backchannel"]
            assert all(turn.after_words is not None for turn in asides), (
                "a sampled aside is left next to the director's"
            )
            assert all(turn.event for turn in dialogue.turns if turn.speaker == "user"), (
                "schedule could draw a barge-in"
            )


def test_a_dialogue_without_cues_is_unchanged():
    (made,) = direct(speak([make_dialogue(lines=("Hi.", "Hello."))]))
    assert (made.direction.by, made.direction.events, made.direction.failed) == ("rules", 0, "")
    assert [turn.event for turn in made.turns] == [None, None]


def test_a_director_before_the_words_are_spoken_is_reported():
    with pytest.raises(WorkError, match="put it after 'speak'"):
        direct([make_dialogue()])


@pytest.fixture(scope="module")
def cuts(spoken):
    """(record, cut) of each dialogue through the bundled recipe's stages, with all of them directed."""
    recipe = load_recipe(SHIPPED / "directed.yaml", ["director.share=1"])
    records = spoken
    for name in ("director", "cast", "synthesize", "schedule", "render"):
        records = recipe.stage(name).make(recipe.seed).process(records)
    coded = [TokenizedDialogue.of(r, np.zeros((r.timeline.frames, 4), dtype=np.int16)) for r in records]
    return [(record, build_cut(record, {"seed": 0})) for record in coded]


def test_each_event_is_a_labeled_supervision_at_its_words(cuts):
    seen = Counter()
    for record, cut in cuts:
        assert (cut.custom.get("director") == "rules") == (record.dialogue.direction.events > 0)
        turns = record.dialogue.turns
        agent = None
        for segment, supervision in zip(record.timeline.segments, cut.supervisions, strict=True):
            turn = turns[segment.turn]
            event = supervision.custom["event"]
            if supervision.speaker == "agent":
                agent = supervision
            elif turn.after_words is not None and event != "turn":
                assert event == turn.event
                full = agent.custom["text_full"].split()
                heard = agent.alignment["word"][turn.after_words - 1]
                assert heard.symbol == full[turn.after_words - 1]
                assert -0.01 <= supervision.start - heard.end <= 1.0
                assert agent.custom["cut_off"] or event == "backchannel"
                seen[event] += 1
            for kind, text, start, duration in supervision.custom.get("disfluencies", ()):
                own = [
                    w for w in supervision.alignment["word"] if start <= w.start and w.end <= start + duration + 1e-6
                ]
                assert " ".join(word.symbol for word in own) == text
                assert text.rstrip(",").split()[-1].lower() in ("um", "uh", "er", "no", "sorry", "mean")
                seen[kind] += 1
    assert all(seen[kind] > 2 for kind in ("barge_in", "backchannel", "hesitation", "self_correction")), seen


def test_tables_count_written_and_unplaced_events(cuts):
    rows = [dialogue_row(record) for record, _ in cuts]
    total = Counter()
    for row in rows:
        total.update({name: row[name] for name in row if isinstance(row[name], int)})
    assert total["director_events"] == sum(
        total[name] for name in ("hesitations", "self_corrections", "barge_ins", "backchannels", "director_unplaced")
    )
    assert {row["director"] for row in rows} == {"rules"} and {row["director_failed"] for row in rows} == {""}


def test_card_and_report_have_the_directors_events_and_unchanged_dialogues(cuts, tmp_path):
    def directed(record, direction: Direction):
        spoken = record.timeline.spoken
        dialogue = replace(spoken.dialogue, split="train", direction=direction)
        return replace(record, timeline=replace(record.timeline, spoken=replace(spoken, dialogue=dialogue)))

    events = cuts[0][0].dialogue.direction.events
    directions = [
        Direction("small", events),
        *(Direction("small", failed=f) for f in ("not_json", "not_json", "refused")),
    ]
    records = [directed(record, direction) for (record, _), direction in zip(cuts, directions, strict=False)]
    corpus = make_corpus(tmp_path, records)
    assert corpus.info["statistics"]["director_failed"] == {"not_json": 2, "refused": 1}
    assert "| unchanged by the director: `not_json` | 2 |" in card(corpus)
    assert f"| director events | {events} |" in card(corpus)
    page = report(corpus)
    assert '<span data-stat="director_failed.not_json">2</span>' in page
    assert f'<span data-stat="director_events">{events}</span>' in page
