"""Where an answer is cut: at the ends of sentences, otherwise of clauses, otherwise not at all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.text.long_turns import Uncuttable, parts, shortened

STORY = "It rained. The boat was late, as ever, and nobody cared. We ate. Then it came!"


def test_parts_end_with_sentences_and_are_of_about_the_same_length():
    assert parts(STORY, 100) == [STORY]
    assert parts(STORY, 12) == ["It rained. The boat was late, as ever, and nobody cared.", "We ate. Then it came!"]
    assert [len(part.split()) for part in parts("a b. " * 13, 20)] == [14, 12]


def test_a_sentence_that_is_too_long_is_cut_at_its_clauses():
    assert parts(STORY, 6) == ["It rained. The boat was late,", "as ever, and nobody cared.", "We ate. Then it came!"]


def test_a_clause_that_is_too_long_is_rejected():
    with pytest.raises(Uncuttable, match="4 words from 'one two three four' on"):
        parts("Yes. one two three four", 3)


def test_the_first_sentences_that_fit_are_kept():
    assert shortened(STORY, 13) == "It rained. The boat was late, as ever, and nobody cared. We ate."
    assert shortened(STORY, 10) == shortened(STORY, 2) == "It rained."
    assert shortened("The boat was late, as ever, and nobody cared. We ate.", 7) == "The boat was late, as ever."
    assert shortened("Yes. one two three four", 3) == "Yes.", "what is left out need not be cut"
    with pytest.raises(Uncuttable):
        shortened("one two three four. Yes.", 3)


sentences = st.lists(st.sampled_from(["go", "on,", "so;", "it", "is.", "now?", "well!"]), min_size=1, max_size=80).map(
    " ".join
)


@settings(max_examples=200)
@given(sentences, st.integers(3, 20))
def test_nothing_is_lost_between_parts_and_none_is_too_long(text, most):
    try:
        made = parts(text, most)
    except Uncuttable:
        return
    assert " ".join(made) == text
    assert all(0 < len(part.split()) <= most for part in made)
    assert all(part[-1] in ".?!,;" for part in made[:-1])
    kept = shortened(text, most)
    assert text.startswith(kept.rstrip(".")) and len(kept.split()) <= most
