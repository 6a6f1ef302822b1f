"""How chat text is read, what is rejected, and that a reading does not change when read again."""

import pickle
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.text.normalize import Normalizer, Unspeakable


@pytest.fixture(scope="module")
def normalize() -> Normalizer:
    return Normalizer()


SPOKEN = [
    # unchanged
    ("I don't know, Anne-Marie; NASA said so.", "I don't know, Anne-Marie; NASA said so."),
    ("Törless café", "Törless café"),
    ("No.", "No."),
    ("Bei Fang Style at 5", "Bei Fang Style at five"),
    # numbers, money, percentages
    ("I have 2 dogs & 1 fish.", "I have two dogs and one fish."),
    ("It costs $12.50, not $1,120.", "It costs twelve dollars fifty cents, not one thousand one hundred and twenty dollars."),
    ("£3.50 or 4€ or 50¢", "three pounds fifty pence or four euros or fifty cents"),
    ("a 15% tip, 12.5% tax", "a fifteen percent tip, twelve point five percent tax"),
    ("1st, 21st", "first, twenty first"),
    ("1½ cups, 3/4 tsp.", "one and a half cups, three quarters teaspoons."),
    ("pages 10-15", "pages ten to fifteen"),
    ("2*3*4", "two times three times four"),
    ("version 2.0.1", "version two point zero point one"),
    ("5.", "five."),
    ("１２", "twelve"),
    ("1️⃣ go", "one go"),
    ("5 < 6", "five less than six"),
    # times, dates, years
    ("at 6:30 pm on March 11th.", "at six thirty PM on march eleventh."),
    ("2024-05-03", "may third twenty twenty four"),
    ("In 1999, the 1990s", "In nineteen ninety nine, the nineteen nineties"),
    ("3:00 - 4:00", "three o'clock to four o'clock"),
    # phones, addresses, units
    ("Call 415-555-1234.", "Call four one five, five five five, one two three four."),
    ("Call (415) 555-1234", "Call four one five, five five five, one two three four"),
    ("or 555-1234", "or five five five, one two three four"),
    ("20 7071 5029", "two zero, seven zero seven one, five zero two nine"),
    ("Order #1234", "Order number twelve thirty four"),
    ("2500 Durant Ave.", "twenty five hundred Durant Avenue."),
    ("8 Elm Dr., San Jose, CA.", "eight Elm Drive, San Jose, California."),
    ("in St. Louis, ME too", "in Saint Louis, ME too"),
    ("5 km at 20°C, the 5'10\" man", "five kilometers at twenty degrees Celsius, the five foot ten man"),
    ("2π r, 5 μm", "two pi r, five micrometers"),
    # abbreviations and symbols
    ("Dr. Smith, e.g. cats, etc. here", "doctor Smith, for example cats, et cetera here"),
    ("AT&T + x = y", "AT and T plus x equals y"),
    ("U.S. and/or not", "US and slash or not"),
    # URLs and e-mail
    ("See https://www.example.com/a?b=c.", "See example dot com."),
    ("jo@example.com", "jo at example dot com"),
    ("It's nice.It works", "It's nice. It works"),
    # markdown and HTML
    ("# Title\n\nA **bold** `word`\n- one\n- two", "Title. A bold word. one. two"),
    ("1. First\n2. Second", "one, First. two, Second"),
    ("> quote\n\n```py\nx=1\n```", "quote. Code omitted."),
    ("| a | b |\n|---|---|\n| 1 | 2 |", "a, b. one, two"),
    ("see [the docs](http://x.com/a_b)", "see the docs"),
    ("<b>this</b><br>and &amp; that", "this. and and that"),
    # punctuation, emoji, invisible characters
    ("no !!! what?!?", "no! what?"),
    ("“Smart” — ‘quotes’…", "Smart, quotes."),
    ("two--three (yes)", "two, three yes"),
    ("hi 👍🏽 :) there", "hi there"),
    ("zero\u200bwidth", "zerowidth"),
    ("✓ Done, ★ great ♪ → next", "Done, great to next"),
    ("● one ■ two ↔ three", "one two three"),
    ("one\ntwo\\rThree\r\nfour", "one. two. Three. four"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "spoken"), SPOKEN)
def test_reads_as(normalize: Normalizer, written: str, spoken: str) -> None:
    assert normalize(written) == spoken


REFUSED = [
    ("", "empty", "''"),
    (" \n", "empty", "nothing to say"),
    ("...!?", "empty", "nothing to say"),
    ("😀 👍🏽", "emoji_only", "U0001f600"),
    ("a\0b", "nul_byte", "character 2"),
    ("a\x07b", "control_characters", "U\\+0007"),
    ("a\ud800b", "control_characters", "U\\+D800"),
    ("hello 中文", "unsupported_script", "Han.*中"),
    ("Привет", "unsupported_script", "Cyrillic.*П"),
    ("ok مرحبا", "unsupported_script", "Arabic"),
    ("नमस्ते", "unsupported_script", "Devanagari"),
    ("λόγος", "unsupported_script", "Greek"),
    ("&#x416; and", "unsupported_script", "Cyrillic"),
    ("a \ue000 b", "unsupported_symbol", "u\\+e000"),
    ("★ ✓", "empty", "nothing to say"),
    ("Itâ€™s ok", "mojibake", "character set"),
]


@pytest.mark.parametrize(("written", "reason", "message"), REFUSED)
def test_refuses(normalize: Normalizer, written: str, reason: str, message: str) -> None:
    with pytest.raises(Unspeakable, match=message) as caught:
        normalize(written)
    assert caught.value.reason == reason


def test_a_refusal_crosses_process_borders() -> None:
    error = pickle.loads(pickle.dumps(Unspeakable("empty", "It has nothing to say.")))
    assert (error.reason, str(error)) == ("empty", "It has nothing to say.")


PIECES = st.sampled_from(
    [written for written, _ in SPOKEN]
    + ["Dr.", "vs.", "etc", "CA", ",", ".", ";", "'", "-", '"', "(", ")", "*", "_", "#", "7", "10:30", "$", "1/2"]
)
CHAT = st.one_of(
    st.text(max_size=30),
    st.text(st.characters(max_codepoint=0x17F, exclude_categories=["Cc"]), max_size=30),
    st.lists(PIECES, max_size=4).map(" ".join),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(CHAT)
def test_a_reading_is_final_and_each_token_is_a_word(normalize: Normalizer, written: str) -> None:
    try:
        spoken = normalize(written)
    except Unspeakable as error:
        assert re.fullmatch(r"[a-z_]+", error.reason) and error.reason != "unstable_reading"
        return
    assert normalize(spoken) == spoken
    assert spoken == " ".join(spoken.split())
    assert not re.search(r"[\d_]", spoken)
    for token in spoken.split(" "):
        assert re.fullmatch(r"[^\W\d_]+(?:['-][^\W\d_]+)*[.,?!;:]?", token), token
