"""The events that the rules find in a text."""

import random

import pytest
from material import ingested, make_dialogue

from pipeline.commands.options import SHIPPED
from stages.base import draw
from stages.directing.rules import by_rules
from stages.directing.script import KINDS, Event, check, lines_of
from stages.ingest import IngestSettings
from stages.speak import Speak, SpeakSettings

BUNDLED = SHIPPED / "dialogues.jsonl"


def found(*lines: str, kinds=KINDS) -> list[Event]:
    """All events for which there is a cue."""
    stage = Speak(SpeakSettings(), 0)
    stage.setup()
    (dialogue,) = stage.process([make_dialogue(lines=lines)])
    return by_rules(lines_of(dialogue), kinds, 20, 1.0, random.Random(0)).events


def interruptions(*lines: str) -> list[tuple[int, int, str, str]]:
    events = found(*lines, kinds=("interruption",))
    assert all(event.kind == "interruption" for event in events)
    return [(event.turn, event.after_word, event.says, event.reply) for event in events]


WAY = "Take the tram to the old market, get off at the museum, and ask for Mister Brown at the desk."


def test_a_user_who_objects_interrupts_right_after_the_statement():
    assert interruptions("How do I get there?", WAY, "Wait, which museum is it?", "The big one.") == [(2, 12, "", "")]
    assert interruptions("How do I get there?", WAY, "Thanks a lot.", "Bye.") == []


def test_a_no_to_a_question_is_an_answer():
    asks = "I can send it by mail, or hold it here for you. Would you like that?"
    assert interruptions("Hello.", asks, "No, thanks.", "Bye.") == []


def test_numbers_and_list_items_are_asked_about_and_confirmed():
    ((turn, after, says, reply),) = interruptions("How much?", "That comes to forty two dollars with the tip and all.")
    assert (turn, after) == (2, 6)
    assert "forty two dollars?" in says and reply == "Yes, forty two dollars with the tip and all."
    ((_, after, says, reply),) = interruptions(
        "What is there?", "We have red wine, white bread, green olives, and old cheese."
    )
    assert (after, reply) == (6, "Yes, white bread, green olives, and old cheese.")
    assert "white bread?" in says


def test_backchannels_fit_the_agents_words():
    answer = "Unfortunately your train was cancelled this morning. Turn left at the church and walk on. There is a bus behind it, and it goes each hour."
    says = [(event.after_word, event.says) for event in found("Hi.", answer, kinds=("backchannel",))]
    assert [after for after, _ in says] == [7, 15]
    assert says[0][1] in ("oh no", "oh", "hmm") and says[1][1] in ("okay", "got it", "right")


def test_users_search_for_words_before_numbers_and_conjunctions_and_mix_small_things_up():
    (um,) = found("I would like three apples.", "Sure.", kinds=("hesitation",))
    assert (um.after_word, um.says in ("um", "uh", "er")) == (3, True)
    assert found("I, um, would like three apples.", "Sure.", kinds=("hesitation",)) == []
    for text, place, others in (
        (
            "A table for three please.",
            3,
            {"two", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"},
        ),
        ("Are you open on Sunday?", 4, {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}),
    ):
        (event,) = found(text, "Sure.", kinds=("self_correction",))
        assert event.after_word == place and event.says.split(",")[0] in others
    assert found("It is twenty three.", "Sure.", kinds=("self_correction",)) == [], "part of a longer number"


@pytest.fixture(scope="module")
def dialogues():
    stage = Speak(SpeakSettings(), 0)
    stage.setup()
    return stage.process(ingested([BUNDLED], IngestSettings()).dialogues)


@pytest.mark.parametrize(("share", "most"), [(1.0, 50), (1.0, 2), (0.5, 6)])
def test_scripts_of_the_rules_are_within_the_bounds(dialogues, share, most):
    kinds = set()
    for dialogue in dialogues:
        lines = lines_of(dialogue)
        script = by_rules(lines, KINDS, most, share, draw(0, dialogue.id, "director"))
        check(script, lines, KINDS, most)
        kinds |= {event.kind for event in script.events}
    assert kinds == set(KINDS)
