"""The bounds of a director's script, and its effect on a dialogue."""

from dataclasses import replace

import pytest
from material import make_dialogue
from pydantic import ValidationError

from manifests.direction import Disfluency
from manifests.records import Dialogue, Recording, Turn
from stages.directing.script import KINDS, Event, Script, Unusable, check, lines_of
from stages.directing.writing import as_spoken, directed, undrawn
from stages.speak import Speak, SpeakSettings
from stages.text.normalize import Normalizer

NORMALIZE = Normalizer()
AGENT = "Leave the square on the north side and follow the river for about ten minutes."


def spoken(*turns: Turn) -> Dialogue:
    """The four lines of `make_dialogue`, as spoken, or custom turns."""
    stage = Speak(SpeakSettings(), 0)
    stage.setup()
    made = make_dialogue()
    (dialogue,) = stage.process([replace(made, turns=turns) if turns else made])
    return dialogue


def event(kind: str, turn: int, after_word: int, says: str, reply: str = "") -> Event:
    return Event(kind=kind, turn=turn, after_word=after_word, says=says, reply=reply)


def write(dialogue: Dialogue, *events: Event, kinds=KINDS, most: int = 6) -> Dialogue:
    dialogue = undrawn(dialogue, kinds, NORMALIZE)
    script = as_spoken(Script(events=list(events)), NORMALIZE)
    lines = lines_of(dialogue)
    check(script, lines, kinds, most)
    return directed(dialogue, lines, script, kinds, "model", NORMALIZE)


def test_an_interruption_brings_the_users_words_and_the_agents_answer():
    made = write(spoken(), event("interruption", 2, 8, "Is that the side with the 2 trees?", "Yes, that one."))
    assert [(t.speaker, t.event, t.after_words) for t in made.turns] == [
        ("user", "turn", None),
        ("agent", None, None),
        ("user", "barge_in", 8),
        ("agent", None, None),
        ("user", "turn", None),
        ("agent", None, None),
    ]
    assert made.turns[2].spoken == "Is that the side with the two trees?" and made.turns[2].text == ""
    assert made.turns[3].spoken == "Yes, that one."
    assert (made.direction.by, made.direction.events, made.direction.failed) == ("model", 1, "")


def test_an_interruption_without_words_is_the_users_next_turn_begun_early():
    dialogue = spoken()
    made = write(dialogue, event("interruption", 2, 18, ""))
    assert len(made.turns) == 4
    assert made.turns[2] == replace(dialogue.turns[2], event="barge_in", after_words=18)


def test_backchannels_replace_the_drawn_ones():
    aside = Turn("user", "", spoken="mm", event="backchannel")
    start = Turn("user", "", spoken="Wait, which", event="false_start")
    before = spoken()
    dialogue = replace(before, turns=(*before.turns[:2], aside, start, *before.turns[2:]))
    made = write(dialogue, event("backchannel", 2, 8, "okay"), event("backchannel", 2, 14, "right"))
    assert [(t.spoken, t.after_words) for t in made.turns if t.event == "backchannel"] == [("okay", 8), ("right", 14)]
    assert not any(t.event == "false_start" for t in made.turns)
    kept = write(dialogue, event("hesitation", 1, 1, "um"), kinds=("hesitation",))
    assert [t.event for t in kept.turns] == [None, None, "backchannel", "false_start", None, None]


def test_hesitations_replace_drawn_fillers():
    lines = [Turn("user", "Hello. What time is it, in 3 hours from now?"), Turn("agent", "Ten.")]
    stage = Speak(SpeakSettings.model_validate({"filler": {"per_minute": 60}}), 0)
    stage.setup()
    (drawn,) = stage.process([replace(make_dialogue(), turns=tuple(lines))])
    assert len(drawn.turns[0].disfluencies) > 2
    made = write(drawn, event("hesitation", 1, 1, "uh"))
    assert made.turns[0].spoken == "Hello. Uh, what time is it, in three hours from now?"
    assert made.turns[0].disfluencies == (Disfluency("hesitation", 1, 1),)
    kept = write(drawn, event("self_correction", 1, 2, "Where, no"), kinds=("self_correction",))
    assert [one.kind for one in kept.turns[0].disfluencies].count("hesitation") == len(drawn.turns[0].disfluencies)


def test_added_turns_have_the_voices_set_in_the_input():
    turns = (
        Turn("user", "Hello there.", voice="ann"),
        Turn("agent", AGENT, voice="bob"),
        Turn("user", "Bye.", voice="ann"),
    )
    made = write(spoken(*turns), event("interruption", 2, 8, "Wait.", "Yes?"))
    assert [turn.voice for turn in made.turns] == ["ann", "bob", "ann", "bob", "ann"]


def test_hesitations_and_corrections_are_among_the_words_and_labeled():
    dialogue = spoken(Turn("user", "Hello. I need a table for 3 on Monday."), Turn("agent", "Sure."))
    made = write(
        dialogue,
        event("self_correction", 1, 6, "2, no, sorry"),
        event("hesitation", 1, 1, "um"),
        event("hesitation", 1, 3, "uh"),
    )
    turn = made.turns[0]
    assert turn.spoken == "Hello. Um, I need, uh, a table for two, no, sorry, three on Monday."
    assert turn.text == "Hello. I need a table for 3 on Monday."
    words = turn.spoken.split()
    assert [(d.kind, words[d.first : d.first + d.number]) for d in turn.disfluencies] == [
        ("hesitation", ["Um,"]),
        ("hesitation", ["uh,"]),
        ("self_correction", ["two,", "no,", "sorry,"]),
    ]
    started = write(
        spoken(Turn("user", "What time is it now?"), Turn("agent", "Ten.")), event("hesitation", 1, 0, "Uh...")
    )
    assert started.turns[0].spoken == "Uh, what time is it now?"
    assert started.turns[0].disfluencies == (Disfluency("hesitation", 0, 1),)


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([event("backchannel", 9, 3, "mm")], "no_such_turn"),
        ([event("backchannel", 1, 3, "mm")], "wrong_turn"),
        ([event("hesitation", 2, 3, "um")], "wrong_turn"),
        ([event("backchannel", 2, 16, "mm")], "no_such_place"),
        ([event("backchannel", 2, 1, "mm")], "no_such_place"),
        ([event("interruption", 2, 99, "Wait.", "Yes?")], "no_such_place"),
        ([event("hesitation", 1, 11, "um")], "no_such_place"),
        ([event("interruption", 2, 8, "Wait.")], "wrong_reply"),
        ([event("backchannel", 2, 8, "mm", "Yes?")], "wrong_reply"),
        ([event("interruption", 4, 8, "")], "nothing_said"),
        ([event("backchannel", 2, 8, "")], "wrong_length"),
        ([event("hesitation", 1, 3, "um so you know")], "wrong_length"),
        ([event("backchannel", 2, 8, "555-0142")], "wrong_length"),
        ([event("interruption", 2, 8, "well " * 21, "Yes.")], "wrong_length"),
        ([event("interruption", 2, 8, "Wait.", "well " * 61)], "wrong_reply"),
        ([event("backchannel", 2, 8, "mm"), event("backchannel", 2, 11, "mm")], "too_close"),
        ([event("interruption", 2, 8, ""), event("backchannel", 2, 13, "mm")], "too_close"),
        ([event("hesitation", 1, 3, "um"), event("hesitation", 1, 3, "um")], "too_close"),
        ([event("hesitation", 1, n, "um") for n in range(7)], "too_many"),
        ([event("backchannel", 2, 8, "да")], "unspeakable"),
        ([event("backchannel", 2, 8, "😀")], "unspeakable"),
        ([event("interruption", 2, 8, "Wait.", "见")], "unspeakable"),
    ],
)
def test_scripts_out_of_bounds_are_rejected_with_a_reason(events, reason):
    with pytest.raises(Unusable) as caught:
        write(spoken(), *events)
    assert caught.value.reason == reason


def test_a_kind_that_is_not_allowed_is_rejected():
    with pytest.raises(Unusable, match="the allowed kinds are: hesitation"):
        write(spoken(), event("backchannel", 2, 8, "mm"), kinds=("hesitation",))


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "cough"}, {"turn": "2"}, {"turn": 0}, {"after_word": -1}, {"after_word": 1.5}, {"says": None}, {"says": "x" * 301},
        {"mood": "bad"},
    ],
)  # fmt: skip
def test_unknown_events_are_rejected(wrong):
    right = {"kind": "backchannel", "turn": 2, "after_word": 8, "says": "mm"}
    assert Event.model_validate(right)
    with pytest.raises(ValidationError):
        Event.model_validate(right | wrong)


def test_events_of_the_input_are_unchanged():
    agent = Turn("agent", AGENT)
    recorded = Turn("user", "Hello there, how are you today?", recording=Recording("a.wav"))
    for fixed in (
        Turn("user", "mm-hm", event="backchannel"),
        Turn("user", "Wait.", event="barge_in"),
        Turn("user", "I see.", gap_s=1.0),
    ):
        lines = lines_of(spoken(Turn("user", "Hello there, how are you?"), agent, fixed))
        assert (lines[0].open, lines[1].open) == (True, False)
    lines = lines_of(spoken(recorded, agent, Turn("user", "Thanks.")))
    assert (lines[0].open, lines[1].open, lines[1].next_may_interrupt) == (False, True, True)
    talk = Turn("user", "", spoken="Not you.", event="side_talk")
    before = spoken(Turn("user", "Hello."), agent, Turn("user", "Thanks."))
    lines = lines_of(replace(before, turns=(*before.turns[:2], talk, before.turns[2])))
    assert (lines[1].open, lines[1].next_may_interrupt) == (True, False)
    assert [line.index for line in lines] == [0, 1, 3]
