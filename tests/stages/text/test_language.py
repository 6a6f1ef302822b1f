"""Dialogues in another language are detected, and English ones with foreign words are kept."""

from collections import Counter
from pathlib import Path

import pytest
from material import ingested
from pydantic import ValidationError

from stages.ingest import IngestSettings
from stages.text.language import other_language

OTHERS = {
    "de": ("Wann fährt der nächste Zug nach Köln?", "Um zehn Uhr fünfzehn von Gleis drei."),
    "es": ("¿Dónde está la estación más cercana?", "Está a dos calles, señor."),
    "fr": ("Bonjour, je voudrais un café, s'il vous plaît.", "Bien sûr, ça fait deux euros."),
    "ru": ("Где здесь вокзал?", "Прямо и налево."),
    "ja": ("駅はどこにありますか、教えてください", "まっすぐ行ってください"),
}
ENGLISH = [
    ("Do you have a café crème and a jalapeño bagel?", "Sure, José makes them."),
    ("What does 你好 mean?", "It means hello."),
    ("Yes.", "Okay, bye."),
    ("Hola", "Ja, gern."),
]


@pytest.mark.parametrize("code", OTHERS)
def test_another_language_is_reported(code: str) -> None:
    assert other_language(" ".join(OTHERS[code]), "en") == code
    assert other_language(" ".join(OTHERS[code]), code) is None


@pytest.mark.parametrize("lines", ENGLISH)
def test_english_with_foreign_words_and_short_texts_are_kept(lines: tuple[str, ...]) -> None:
    assert other_language(" ".join(lines), "en") is None


def test_ingest_rejects_by_language(write_jsonl) -> None:
    talks = {**OTHERS, **{f"en{number}": lines for number, lines in enumerate(ENGLISH)}}
    path = write_jsonl(
        *(
            {"id": id, "messages": [{"role": "user", "content": a}, {"role": "assistant", "content": b}]}
            for id, (a, b) in talks.items()
        )
    )
    found = ingested([path], IngestSettings())
    assert {one.id: one.reason for one in found.rejected} == dict.fromkeys(OTHERS, "language")
    assert found.rejected[0].message == (
        "It is in the language 'de', but ingest.language is 'en'; a separate build with ingest.language=de takes such dialogues."
    )
    assert found.rejected[-1].message == "It is in the language 'ja', but ingest.language is 'en'."
    assert len(found.dialogues) == len(ENGLISH)
    assert not ingested([path], IngestSettings(language="")).rejected
    assert "de" in [one.id for one in ingested([path], IngestSettings(language="de")).dialogues]


def test_an_unknown_language_is_rejected() -> None:
    with pytest.raises(ValidationError, match="two-letter code of a language"):
        IngestSettings(language="english")


FILES = Path(__file__).parents[2] / "data" / "languages"


@pytest.mark.parametrize(
    ("name", "rejected", "kept"),
    [
        ("16-languages.jsonl", ["ar", "de", "es", "fr", "hi", "ja", "pl", "ru", "vi", "zh"], ["accent", "one-han"]),
        ("40-german-numbers.jsonl", ["de1", "es1"], []),
        ("69-german.jsonl", [f"de{number}" for number in range(6)], []),
    ],
)
def test_files_in_other_languages_are_rejected_by_that(name: str, rejected: list[str], kept: list[str]) -> None:
    found = ingested([FILES / name], IngestSettings())
    assert Counter(one.reason for one in found.rejected) == {"language": len(rejected)}
    assert sorted(one.id for one in found.rejected) == rejected
    assert sorted(one.id for one in found.dialogues) == kept


def test_dialogues_in_the_recipes_language_are_kept_and_labeled() -> None:
    found = ingested([FILES / "69-german.jsonl", FILES / "40-german-numbers.jsonl"], IngestSettings(language="de"))
    assert [one.id for one in found.rejected] == ["es1"]
    assert {one.language for one in found.dialogues} == {"de"} and len(found.dialogues) == 7
