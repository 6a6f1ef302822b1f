"""Which parts of a line the grammar gets, that it gets each only once, and that a line's length does not change a
reading."""

import pytest

from stages.text.grammar import Vocabulary, load_english
from stages.text.normalize import Normalizer
from stages.text.spans import SpanReader

SPANS = [
    ("On average it takes 12 weeks, and half of that is waiting.", ["12"]),
    ("on March 14th at 6:30 pm in Room 7.", ["March 14th", "6:30 pm", "7."]),
    ("on 5 May 2020, or if you need 3 may I ask why", ["5 May 2020,", "3"]),
    ("run 5 km, lift 20 kg, rest 3 in the shade", ["5 km,", "20 kg,", "3"]),
    ("about $5 million, or 16 x 9", ["$5 million,", "16 x 9"]),
    ("at 1760 Polk Street. Come in 5 minutes", ["1760 Polk Street.", "5"]),
    ('Ask Dr. Strange, (a friend) of "mine", aren\'t you?', ["Dr."]),
    ("nothing here, nothing at all.", []),
]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return load_english()[1]


@pytest.mark.parametrize(("line", "spans"), SPANS)
def test_the_grammar_gets_numbers_and_their_units(vocabulary: Vocabulary, line: str, spans: list[str]) -> None:
    asked: list[str] = []

    def grammar(span: str) -> str:
        asked.append(span)
        return span

    SpanReader(grammar, vocabulary)(line)
    assert asked == spans


def test_a_span_is_read_once(vocabulary: Vocabulary) -> None:
    asked: list[str] = []
    read = SpanReader(lambda span: asked.append(span) or "ten", vocabulary)
    assert read("10 men of 10 towns") == "ten men of ten towns" and read("still 10") == "still ten"
    assert asked == ["10"]


def test_a_number_reads_the_same_however_long_its_line_is() -> None:
    """The grammar adds a weight for each word, and in a long line these outweigh the one that decides between its
    readings of $253."""
    normalizer = Normalizer()
    for words in (1, 10, 100):
        assert normalizer("please " * words + "pay $253 now.").endswith("pay two hundred and fifty three dollars now.")


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("They're at 1760 Polk Street. Ask there.", "They're at seventeen sixty Polk Street. Ask there."),
        ('It is called "Chapter 1", I think.', "It is called Chapter one, I think."),
        ('a 6" pipe', "a six inch pipe"),
        ("How about Dr. Strange or Mr. Bean?", "How about doctor Strange or mister Bean?"),
    ],
)
def test_marks_next_to_spans(written: str, spoken: str) -> None:
    assert Normalizer()(written) == spoken
