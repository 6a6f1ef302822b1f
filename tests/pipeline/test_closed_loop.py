"""With a real recognizer: flite speaks, pocketsphinx recognizes before and after the codec, and the report has both."""

from dataclasses import replace

import numpy as np
import pytest
from corpus_material import make_corpus, rows_of
from material import make_dialogue

from manifests.records import Rejected
from pipeline.recipe import load_recipe
from pipeline.report.page import report

LINES = (
    "Can you tell me the price of the ticket to London?",
    "Sure, what day would you like to travel to London?",
    "I would like to leave on Monday morning, please.",
    "The train will be ready in about twenty minutes.",
)
FLITE = ["synthesize.use=stages.voices.flite:FliteSynthesizer", "verify.recognizer=pocketsphinx"]


@pytest.fixture(scope="module")
def verified():
    recipe = load_recipe(overrides=[*FLITE, "schedule.barge_in.share=0"])
    records: list = [make_dialogue("d0", LINES)]
    for name in ("speak", "cast", "synthesize", "schedule", "render", "verify"):
        records = recipe.stage(name).make(0).process(records)
    return records


def tokenized(verified, *overrides: str):
    recipe = load_recipe(overrides=["tokenize.recognizer=pocketsphinx", *overrides])
    return recipe.stage("tokenize").make(0).process(verified)


def test_words_are_recognized_before_and_after_the_codec(verified, nemo_codec, tmp_path):
    assert not any(isinstance(record, Rejected) for record in verified)
    nemo = ("tokenize.use=stages.codecs.nemo:NemoTokenizer", f"tokenize.codec={nemo_codec}")
    for name, overrides in (("bundled", ()), ("nemo", nemo)):
        (record,) = tokenized(verified, *overrides)
        checks = record.checks
        assert len(checks.user_wers) == len(checks.agent_wers) == len(checks.coded_wers) == 2
        assert np.mean(checks.user_wers) < 0.4 and np.mean(checks.agent_wers) < 0.3
        assert np.mean(checks.coded_wers) > np.mean(checks.agent_wers)  # neither codec was made for this voice
        (tmp_path / name).mkdir()
        corpus = make_corpus(tmp_path / name, [record])
        assert rows_of(corpus.dialogues)[0]["coded_wers"] == list(checks.coded_wers)
        page = report(corpus)
        assert "<h3>Agent WER after the codec</h3>" in page


def test_wrong_words_are_reported_with_the_recognized_ones(verified):
    recipe = load_recipe(overrides=FLITE)
    (record,) = verified
    words = recipe.stage("verify").make(0)
    first, second, *others = record.timeline.segments
    exchanged = (replace(first, words=second.words), replace(second, words=first.words), *others)
    (found,) = words.process([replace(record, timeline=replace(record.timeline, segments=exchanged))])
    assert found.reason == "wrong_words" and found.message.startswith("Turn 1 (user) is not recognized as written: ")
