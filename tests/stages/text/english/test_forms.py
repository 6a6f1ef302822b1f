"""Written forms are read as in the table of `tests/data`, and mixtures of them keep all words and do not affect each
other."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.text.normalize import Normalizer, Unspeakable

TABLE = [
    line.split("\t") for line in (Path(__file__).parents[3] / "data/spoken_forms.tsv").read_text("utf-8").splitlines()
]
KINDS = list(dict.fromkeys(kind for kind, _, _ in TABLE))


@pytest.fixture(scope="module")
def normalizer() -> Normalizer:
    return Normalizer()


@pytest.mark.parametrize("kind", KINDS)
def test_forms_are_read_as_in_the_table(normalizer: Normalizer, kind: str) -> None:
    forms = {written: reading for own, written, reading in TABLE if own == kind}
    assert {written: normalizer(written) for written in forms} == forms


WORDS = ("river", "lantern", "because", "quietly", "someone", "green", "Paris", "however")
"""Such as no form takes for its unit, its month or its name."""
NUMBERS = st.one_of(
    st.integers(0, 99).map(str),
    st.integers(0, 10**7).map(str),
    st.integers(1_000, 10**9).map("{:,}".format),
    st.decimals(0, 999, places=2).map(str),
    st.integers(1850, 2050).map(str),
)
PATTERNS = st.sampled_from([
    "{a}", "-{a}", "{a} - {b}", "{a}-{b}", "{a}–{b}", "{a} + {b} = {c}", "${a}", "${a}-{b}", "€{a}/month", "{a}%", "{a} kg", "{a}GB",
    "{a} m/s²", "{a}°C", "{a}/{b}", "{a}:{b}", "x^{a}", "x² - {a}", "10⁻³", "{a}s", "the {a}s", "{a}th", "#{a}", "v{a}", "({a}, {b})",
    "$x^{{{a}}} \\times {b}$", "+1 {a} {b}", "{a}k", "{a}M", "{a}\"", "{a}'", "ABC-{a}", "f(x) = {a}x", "{a} x {b}", "a{a}@b.com",
    "file_{a}.txt", "~/{a}", "★ {a}", "{a} → {b}", "Fig. {a}", "Chapter IV", "Louis XIV", "J. R. Tolkien", "Mon-Fri", "A-", "{a}★", "@user_{a}",
])  # fmt: skip
FORMS = st.builds(lambda pattern, a, b, c: pattern.format(a=a, b=b, c=c), PATTERNS, NUMBERS, NUMBERS, NUMBERS)
WRITTEN = st.sampled_from([written for _, written, _ in TABLE])
SENTENCES = st.lists(st.tuples(st.sampled_from(WORDS), st.one_of(FORMS, WRITTEN)), min_size=1, max_size=3)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(SENTENCES, st.sampled_from(WORDS))
def test_a_mixture_of_forms_is_idempotent_keeps_its_words_and_emits_no_symbol(
    normalizer: Normalizer, sentence: list[tuple[str, str]], last: str
) -> None:
    written = " ".join(f"{word} {form}" for word, form in sentence) + f" {last}."
    try:
        spoken = normalizer(written)
    except Unspeakable as error:
        assert error.reason != "unstable_reading"
        return
    assert normalizer(spoken) == spoken
    for token in spoken.split(" "):
        assert re.fullmatch(r"[^\W\d_]+(?:['-][^\W\d_]+)*[.,?!;:]?", token), token
    kept = iter(re.findall(r"[\w'-]+", spoken))
    wanted = [word for word, _ in sentence] + [last]
    assert [word for word in wanted if word in kept] == wanted, spoken
