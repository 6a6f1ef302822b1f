"""What `audit` accepts, and what it finds: text shortened to what was heard, codes that look ahead, a revealing level."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from corpus_material import make_corpus
from material import spoken_noise

from manifests.corpus import Corpus, open_corpus
from manifests.frames import CODEBOOK_SIZE, TARGET_FRAME
from manifests.progress import silent
from manifests.records import TokenizedDialogue
from pipeline.audit.verdict import Finding, audit
from pipeline.report.page import report
from salm_duplex_model.tokenizer import BUNDLED, TextTokenizer
from stages.render import Render, RenderSettings
from stages.schedule import BargeInSettings, Schedule, ScheduleSettings

WORDS = ["we", "can", "meet", "at", "the", "old", "market", "near", "the", "river", "and", "then", "walk", "home"]
SECONDS = (4, 7, 10, 13)
FORESEEN = "predicted one second ahead: the user's start, from the agent's channel"
AS_NEMO = f"{FORESEEN} as NeMo reads it"
CUT = "predicted one second ahead: the agent's cut-off, from its channel"
LEVEL = "revealed by the user's level: an interruption"


def dialogue(number: int):
    """Five turns, the agent's long ones with several sentences; all dialogues differ."""
    chance = np.random.default_rng(number)
    lengths = [2, chance.choice(SECONDS), 2, chance.choice(SECONDS), 2]
    spoken = spoken_noise(
        *[("agent" if i % 2 else "user", float(s), int(3 * s)) for i, s in enumerate(lengths)], id=f"d{number}"
    )
    speech = []
    for one in spoken.speech:
        ends = set(chance.choice(len(one.words), len(one.words) // 5)) | {len(one.words) - 1}
        words = (
            replace(word, text=str(chance.choice(WORDS)) + ("." if at in ends else ""))
            for at, word in enumerate(one.words)
        )
        speech.append(replace(one, words=tuple(words)))
    return replace(spoken, speech=tuple(speech))


@pytest.fixture(scope="module")
def records() -> list[TokenizedDialogue]:
    """160 dialogues of noise, most with barge-ins, with codes that reveal nothing."""
    settings = ScheduleSettings(barge_in=BargeInSettings(share=0.7, turn_share=0.6))
    timelines = Schedule(settings, 0).process([dialogue(number) for number in range(160)])
    chance = np.random.default_rng(0)
    return [
        TokenizedDialogue.of(r, chance.integers(0, CODEBOOK_SIZE, (r.timeline.frames, 4)).astype(np.int16))
        for r in Render(RenderSettings(), 0).process(timelines)
    ]


def findings(corpus: Corpus) -> dict[str, Finding]:
    found = audit(corpus, TextTokenizer.load(BUNDLED), 1_000, silent)
    return {one.question: one for one in found}


def test_a_corpus_that_reveals_nothing_passes_and_its_report_says_so(tmp_path: Path, records) -> None:
    corpus = make_corpus(tmp_path, records)
    found = findings(corpus)
    assert not [one for one in found.values() if one.passed is False]
    assert all(found[name].passed for name in (FORESEEN, AS_NEMO, CUT, LEVEL, "turn labels that match the sound"))
    assert found[FORESEEN].value and 0.4 < found[FORESEEN].value < 0.8
    (tmp_path / "audit.json").write_text(json.dumps({"findings": [one.as_dict() for one in found.values()]}))
    assert "as NeMo reads it" in report(open_corpus(tmp_path))


def test_leaks_are_found(tmp_path: Path, records) -> None:
    """NeMo lays out `text` unchanged, so it must not be shortened to what was heard; the last frames before a cut have
    the codes of the following silence; users are louder in dialogues in which they interrupt."""

    def leak(record: TokenizedDialogue) -> TokenizedDialogue:
        codes, louder = record.codes.copy(), any(segment.event == "barge_in" for segment in record.timeline.segments)
        for segment in record.timeline.segments:
            if segment.cut_off:
                end = segment.end // TARGET_FRAME
                codes[end - 3 : end] = 1_000
        return replace(record, codes=codes, user=record.user if louder else (record.user * 0.7).astype(np.int16))

    corpus = make_corpus(tmp_path, [leak(record) for record in records])
    path = tmp_path / "train" / "cuts.000000.jsonl.gz"
    cuts = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    for cut in cuts:
        for turn in cut["supervisions"]:
            turn["text"] = turn["custom"].pop("text_heard")
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, cuts)).encode()))
    found = findings(corpus)
    assert {name for name, one in found.items() if one.passed is False} == {AS_NEMO, CUT, LEVEL}
    assert found[AS_NEMO].value > found[AS_NEMO].bound + 0.05
    assert found[FORESEEN].passed


def test_too_few_events_give_no_verdict(tmp_path: Path, records) -> None:
    found = findings(make_corpus(tmp_path, records[:20]))
    assert found[FORESEEN].passed is None and found[CUT].passed is None


def as_take(record: TokenizedDialogue, take: int) -> TokenizedDialogue:
    spoken = record.timeline.spoken
    renamed = replace(spoken.dialogue, id=f"{spoken.dialogue.id}-take{take}")
    return replace(record, timeline=replace(record.timeline, spoken=replace(spoken, dialogue=renamed)))


def test_takes_of_one_script_count_once(tmp_path: Path, records) -> None:
    """All takes of a directed script are interrupted at the same words, so a probe that has seen one of them knows the
    others."""
    takes = [as_take(record, take) for record in records[:80] for take in range(2, 5)]
    found = findings(make_corpus(tmp_path, [*records[:80], *takes]))
    assert found[FORESEEN].passed and found[CUT].passed and found[LEVEL].passed
    assert found["revealed by the split: barge-ins"].n == 80
