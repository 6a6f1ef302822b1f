"""Languages other than English: what the grammar reads, and what each language's data adds."""

import re

import pytest

from stages.talk.phrases import FOLDER, Phrases, phrases
from stages.text.foreign import ForeignNormalizer
from stages.text.languages import languages, readable
from stages.text.normalize import Unspeakable
from stages.text.reader import reader

GERMAN = [
    ("Törless wohnt in Gießen.", "Törless wohnt in Gießen."),
    ("Treffen wir uns um 15:30 Uhr?", "Treffen wir uns um fünfzehn Uhr dreißig?"),
    ("Ja, am 3. Mai 2024 für 12,50 €.", "Ja, am dritten Mai zweitausendvierundzwanzig für zwölf Euro fünfzig."),
    ("Am 9. November 1989.", "Am neunten November neunzehnhundertneunundachtzig."),
    ("Das sind 5 kg, 3,5 km und 20 %.", "Das sind fünf Kilogramm, drei Komma fünf Kilometer und zwanzig Prozent."),
    ("Es waren 1.250 Menschen.", "Es waren eintausendzweihundertfünfzig Menschen."),
    ("in der 2. Reihe, der 3. Platz", "in der zweiten Reihe, der dritte Platz"),
    ("Zimmer 12. Danke.", "Zimmer zwölf. Danke."),
    ("Etwa 21 °C, nachts -5 Grad", "Etwa einundzwanzig Grad Celsius, nachts minus fünf Grad"),
    ("10-15 Leute, Tel. 030 1234", "zehn bis fünfzehn Leute, Telefon null drei null eins zwei drei vier"),
]
AS_IT_IS = [  # the grammar does not cover it
    ("de", "z.B. Äpfel & „Käse“ usw.", "zum Beispiel Äpfel und Käse und so weiter."),
    ("de", "Schau auf www.bahn.de/a?b=c nach – oder info@bahn.de!", "Schau auf bahn Punkt de nach, oder info at bahn Punkt de!"),
    ("de", "**Fett** ✓ 😀\n- eins", "Fett. eins"),
    ("es", "¿Dónde está la Sra. Núñez? ¡Aquí!", "Dónde está la señora Núñez? Aquí!"),
    ("es", "A + B = C @ #", "A más B igual a C arroba número"),
    ("fr", "à 8h05, à 13:00 et à 1 h", "à huit heures cinq, à un trois heures et à une heure"),
    ("fr", "7,50 € ou 1,00 €", "sept euros cinq zéro ou un euro"),
    ("sv", "kl. 8:05", "klockan åtta fem"),
    ("pt", "Custa R$ 5.", "Custa reais cinco."),
    ("fr", "L'été, M. Dupont & Mme Noël…", "L'été, monsieur Dupont et madame Noël."),
    ("hi", "नमस्ते, स्टेशन कहाँ है? सीधे जाइए।", "नमस्ते, स्टेशन कहाँ है? सीधे जाइए."),
    ("ar", "أين المحطة؟ على اليمين، شكرا.", "أين المحطة? على اليمين, شكرا."),
    ("ko", "역이 어디예요? 똑바로 가세요.", "역이 어디예요? 똑바로 가세요."),
    ("hy", "Որտե՞ղ է կայարանը։ Ուղիղ։", "Որտեղ է կայարանը. Ուղիղ."),
    ("vi", "Xin chào, nhà ga ở đâu?", "Xin chào, nhà ga ở đâu?"),
]  # fmt: skip


def as_it_is(language: str) -> ForeignNormalizer:
    """A reader whose grammar leaves numbers unchanged."""
    return ForeignNormalizer(language, str)


@pytest.fixture(scope="module")
def german() -> ForeignNormalizer:
    return reader("de")


@pytest.mark.parametrize(("written", "spoken"), GERMAN)
def test_german_is_read_by_its_grammar(german, written: str, spoken: str) -> None:
    assert german(written) == spoken == german(spoken)


@pytest.mark.parametrize(("language", "written", "spoken"), AS_IT_IS)
def test_signs_and_abbreviations_are_those_of_the_language(language: str, written: str, spoken: str) -> None:
    read = as_it_is(language)
    assert read(written) == spoken == read(spoken)


@pytest.mark.parametrize("language", sorted(languages()))
def test_no_english_word_is_said(language: str) -> None:
    read = as_it_is(language)
    said = " ".join(read(f"7 {sign}") for sign in "%&+=@#/€$£§×÷<>²" if sign in languages()[language].words)
    said += " " + read("Dr. Li etc. vs. St. Mt. 5 < 6 > 4" if "<" in languages()[language].words else "5 %")
    english = r"\b(?:and|plus or|equals|percent|at most|number|slash|pounds|street|seven|five|less|greater)\b"
    assert not re.search(english, said)
    assert "7" not in said


@pytest.mark.parametrize(
    ("language", "text", "reason", "message"),
    [
        ("de", "Das heißt Привет.", "unsupported_script", "No German voice can read Cyrillic script: 'П'"),
        ("hu", "5 ∑ 6", "unsupported_symbol", "The character '∑' (n-ary summation) has no known reading in Hungarian"),
    ],
)
def test_text_without_a_reading_is_rejected(language: str, text: str, reason: str, message: str) -> None:
    with pytest.raises(Unspeakable, match=re.escape(message)) as refused:
        as_it_is(language)(text)
    assert refused.value.reason == reason


@pytest.mark.parametrize("language", readable())
def test_phrases_are_spoken_as_they_are(language: str) -> None:
    """The forms of a language that has any; it then needs all kinds of them."""
    said = phrases(language)
    assert {path.stem for path in FOLDER.iterdir()} <= {*readable()}
    if (FOLDER / f"{language}.yaml").exists():
        texts = [text for kind in Phrases.model_fields for text in getattr(said, kind)]
        read = reader("en") if language == "en" else as_it_is(language)
        assert texts and all(read(text) == text for text in texts)
    else:
        assert not any(getattr(said, kind) for kind in Phrases.model_fields)
