"""Dialogues in another language are told, and English ones with foreign words are not."""

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
def test_another_language_is_told(code: str) -> None:
    assert other_language(" ".join(OTHERS[code]), "en") == code
    assert other_language(" ".join(OTHERS[code]), code) is None


@pytest.mark.parametrize("lines", ENGLISH)
def test_english_with_foreign_words_and_what_is_too_short_to_tell_stay(lines: tuple[str, ...]) -> None:
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
    assert found.rejected[0].message == "It is in the language 'de', and ingest.language is 'en'."
    assert len(found.dialogues) == len(ENGLISH)
    assert not ingested([path], IngestSettings(language="")).rejected
    assert "de" in [one.id for one in ingested([path], IngestSettings(language="de")).dialogues]


def test_a_language_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="two-letter code of a language"):
        IngestSettings(language="english")
