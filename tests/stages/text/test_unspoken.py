"""Code, tables and stage directions are not read aloud; text that only looks like them is."""

import pytest

from stages.text.unspoken import with_items_apart, with_phrases, without_directions


@pytest.mark.parametrize(
    ("written", "plain", "number"),
    [
        ("*laughs* I know.", "I know.", 1),
        ("It's [pause] fine.", "It's fine.", 1),
        ("Well (sighs), I guess.", "Well, I guess.", 1),
        ("<laugh>Yes</laugh> <sigh/>", "Yes", 3),
        ("*Smiles warmly at you* Hello! _nods_", "Hello!", 2),
        (r"\*clears throat\* Hm *chuckles* no.", "Hm no.", 2),
        ("[LAUGHTER] So [nervous laughter] [soft music playing] [pause for effect] yes.", "So yes.", 4),
        ("*waves* Hi!", "Hi!", 1),
        ("*lacht leise* Ja. (seufzt) [Gelächter]", "Ja.", 3),
        ("(risas) Sí, *se ríe* no.", "Sí, no.", 2),
        ("*walks to the door and opens it* Come in.", "Come in.", 1),
        ("Sure. *hands you a cup*\nHere.", "Sure. \nHere.", 1),
        ("Yes (laughing softly) and no (long pause)", "Yes and no", 2),
    ],
)
def test_stage_directions_are_removed(written, plain, number):
    left, found = without_directions(written)
    assert (left.strip(), found) == (plain, number)
    assert without_directions(left) == (left, 0)


@pytest.mark.parametrize(
    "written",
    [
        "It *really* is.", "He *smiles* a lot, **laughs** too.", "Dear [Your Name],", "a cold (coughing, sneezing)", "f(x) [1]",
        "- *apples*\n- *oranges*", "[laughs](http://x.com)", "2 * 3 * 4", "the video (pauses the music)", "<b>nods</b>", "*args and *kwargs",
        "*cats* and *dogs*", "light *waves* go", "[pause button]",
    ],
)  # fmt: skip
def test_text_that_only_looks_like_a_stage_direction_stays(written):
    assert without_directions(written) == (written, 0)


def said(text: str) -> tuple[str, list[str]]:
    return with_phrases(text, lambda kind: f"<{kind}>")


def test_a_phrase_replaces_a_block_in_its_place():
    assert said("So:\n```py\nx = 1\n\ny = 2\n```\nThat's it.") == ("So:\n\n<code>\n\nThat's it.", ["code"])
    assert said("1. one\n   ~~~\n   x\n   ~~~\n2. two") == ("1. one\n\n   <code>\n\n2. two", ["code"])
    assert said("- ```\n  x\n  ```\n> ```\n> y") == ("\n- <code>\n\n\n> <code>\n", ["code", "code"])
    assert said("See:\n\na | b\n--|--\n1 | 2\n\nDone.") == ("See:\n\n\n<table>\n\n\nDone.", ["table"])
    assert said("nothing\n```\n") == ("nothing", [])
    assert said("a `b` | c") == ("a `b` | c", [])


def test_a_list_in_one_line_gets_a_line_for_each_item():
    assert with_items_apart("Do: 1) this, 2) that.\n1. One. 2. Two.") == "Do:\n1) this,\n2) that.\n1. One.\n2. Two."
    for line in ("in 2) Not", "1. in chapter 2. Not", "version 1. 2. no", "1) one"):
        assert with_items_apart(line) == line
