"""A whole dialogue in another language with one line in the recipe, and settings that do not fit the language."""

from pathlib import Path

import pytest

from manifests.errors import RequestError
from manifests.records import Rejected
from manifests.shards import build_cut
from pipeline.recipe import load_recipe
from pipeline.voices import check_stages
from stages.ingest import ingest

DATA = Path(__file__).parents[1] / "data"


def test_german_from_text_to_cuts_by_one_line():
    recipe = load_recipe(overrides=["ingest.language=de"])
    check_stages(recipe)
    records: list = [*ingest([str(DATA / "dialogues.de.jsonl")], recipe.ingest, recipe.seed, limit=3)]
    for spec in recipe.stages:
        records = spec.make(recipe.seed).process(records)
    assert len(records) == 3 and not any(isinstance(record, Rejected) for record in records)
    cuts = [build_cut(record, {}) for record in records]
    said = [supervision for cut in cuts for supervision in cut.supervisions]
    assert {supervision.language for supervision in said} == {"de"}
    assert all(supervision.custom["voice"].startswith("de") for supervision in said)
    assert len({supervision.custom["voice"] for supervision in said if supervision.speaker == "agent"}) == 1
    train = next(supervision for supervision in said if "Gleis" in supervision.custom["text_full"])
    assert train.custom["text_full"] == "Um fünfzehn Uhr dreißig von Gleis sieben."
    assert train.custom["text_written"] == "Um 15:30 Uhr von Gleis 7."
    words = train.alignment["word"]
    assert [word.symbol for word in words] == train.custom["text_heard"].split()
    assert all(word.duration > 0.03 for word in words) and train.custom["word_times"] == "engine"


def test_a_language_sets_defaults_of_the_recipe():
    recipe = load_recipe(overrides=["ingest.language=es"])
    assert recipe.language == recipe.stage("speak").settings.language == "es"
    voices = recipe.stage("cast").settings
    assert voices.agent_voice.startswith("es?") and {voice.partition("+")[0] for voice in voices.user_voices} == {
        "es",
        "es-419",
    }
    assert load_recipe().language == "en"
    assert load_recipe(overrides=["ingest.language=''"]).language == "en"
    assert load_recipe(overrides=["ingest.language=''", "speak.language=it"]).language == "it"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["ingest.language=pl"], "speak.language is wrong: it, or ingest.language, must be a language .*ar, de, en, es, .*not 'pl'"),
        (["ingest.language=ja"], "must be a language with a grammar and a voice"),
        (["ingest.language=xx"], "two-letter code of a language"),
        (["speak.language=de"], "speak.language is 'de', but the recipe's language is 'en'"),
        (["ingest.language=de", "cast.agent_voice=en-us"], "'en-us' can't be used: it speaks English, but the recipe's language is German"),
        (["cast.agent_voice=de+f3"], r"'de\+f3' can't be used: it speaks German, but the recipe's language is English"),
        (["ingest.language=de", "synthesize.use=stages.voices.flite:FliteSynthesizer"], "speaks English, but the recipe's language is German"),
        (["ingest.language=hu", "speak.backchannel.share=0.5"], "'backchannel.texts' must be set for Hungarian"),
        (["ingest.language=hu", "speak.side_talk.share=0.5"], "'side_talk.texts' must be set for Hungarian"),
        (["ingest.language=de", "stages=[speak, director, cast, synthesize, schedule, render, verify, tokenize]"], "rules know only English cues"),
        (["ingest.language=de", "verify.recognizer=pocketsphinx"], "pocketsphinx, recognizes only English"),
    ],
)  # fmt: skip
def test_settings_for_another_language_are_rejected_with_one_sentence(overrides, message):
    with pytest.raises(RequestError, match=message) as refused:
        check_stages(load_recipe(overrides=overrides))
    assert "\n" not in str(refused.value)


def test_phrases_in_the_recipe_work_for_a_language_without_bundled_ones():
    load_recipe(overrides=["ingest.language=hu", "speak.backchannel.share=0.5", "speak.backchannel.texts=[igen]"])
