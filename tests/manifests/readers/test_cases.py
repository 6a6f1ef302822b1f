"""Each file in `tests/data/cases` is read as a person would read it: who says what, and what is reported."""

from pathlib import Path

import pytest

from manifests.formats import read_dialogue
from manifests.records import BadDialogue
from manifests.sources import Source

CASES = Path(__file__).parents[2] / "data" / "cases"

ZOO = ("Which bus goes to the zoo?", "The number twelve, every ten minutes.")
DESK = "Bus desk."


def read(name: str) -> list:
    """A line for each record: its turns, starting with the user's unless it says otherwise, or the reason why it has
    none."""
    (path,) = CASES.glob(f"{name}-*")
    return [lines(raw) for _, raw in Source(str(path)).records()]


def found(name: str) -> list:
    (path,) = CASES.glob(f"{name}-*")
    return [read_dialogue(raw, "f:1", "x") for _, raw in Source(str(path)).records()]


def lines(raw: object) -> tuple[str, ...] | str:
    try:
        turns = read_dialogue(raw, "f:1", "x").dialogue.turns
    except BadDialogue as error:
        return f"{error.reason}: {error}"
    expected = "user"
    lines = []
    for turn in turns:
        lines.append(turn.text if turn.speaker == expected else f"{turn.speaker}: {turn.text}")
        expected = "agent" if turn.speaker == "user" else "user"
    return tuple(lines)


def test_alpaca_keeps_its_history_and_system_prompt():
    (record,) = found("01")
    assert record.dialogue.system_prompt == "You plan trips."
    assert [turn.text for turn in record.dialogue.turns][::2] == [
        "Where should I go this weekend?",
        "Is it cheap?",
        "And how far is that from Bern?",
    ]
    assert not record.not_used


def test_tool_calls_are_silent_and_counted():
    (record,) = found("02")
    assert [turn.speaker for turn in record.dialogue.turns] == ["user", "agent", "user", "agent"]
    assert record.dialogue.system_prompt == "You help with parcels."
    assert record.not_used == {"tool calls": 1, "silent turns": 1, "tool messages": 1, "tools": 1}


def test_content_parts_are_text_or_counted_by_name():
    first, image, *others = read("04")
    assert first == ("What colour is the sky?", "Blue, mostly.")
    assert image.startswith("not_text: Message 1 contains an image")
    assert others == [
        ("Say hi.", "Hi!"),
        ("Good morning.", "Good morning to you."),
        ("Where is the library?", "Round the corner."),
        ("Do you sell bread?", "Every day but Sunday."),
    ]


def test_roles_and_keys_have_many_names():
    assert [len(turns) for turns in read("06")] == [2] * 11
    assert {turns[1] for turns in read("07")} == {"Please do."} and len(read("07")) == 9
    assert not any(
        turn.startswith(("user: ", "agent: ")) for name in ("06", "07") for turns in read(name) for turn in turns
    )


def test_the_chosen_answer_is_the_one_that_is_read():
    assert read("10") == [
        ("What sound does a cow make?", "Moo."),
        ("What sound does a duck make?", "Quack."),
        ("What sound does a cat make?", "Meow."),
        ("What sound does a dog make?", "Woof."),
        ("Who are you?", "A helper."),
        ("Half dpo?", "Yes."),
        ("Is it raining?", "A little.", "Take an umbrella?", "Yes, do."),
    ]
    assert sum(record.not_used.get("rejected answers", 0) for record in found("10")) == 4


def test_soda_and_multiwoz():
    assert read("13") == [("Hey, how was the race?", "I came third!", "That's amazing.")]
    assert read("14") == [
        ("I need a cheap hotel.", "Which area?"),
        ("I need a taxi.", "Where to?"),
        ("I need a train.", "Which day?"),
    ]
    assert [record.dialogue.id for record in found("14")] == ["X01.json", "x", "X02"]


def test_the_relatives_of_alpaca():
    assert read("17") == [
        ("Name a fruit.", "A pear."),
        ("Name a tree.", "An oak."),
        ("Name a bird.\nNothing", "A robin."),
        ("Name a fish.", "A trout."),
        ("Name a colour.", "Red."),
        ("Name a planet.", "Mars."),
        ("Name a river.", "The Rhine."),
        ("Name a lake.", "Como."),
        ("Name one.", "Four"),
    ]


def test_sharegpt_with_its_extras():
    said = read("19")
    assert said[1:5] == [
        ("Where is the gold?", "Arr, on the island."),
        ("Where is the silver?", "In the cave."),
        ("Where is the bronze?", "In the sea."),
        ("Where?", "In the sea."),
    ]
    assert said[5].startswith("no_turns") and said[6] == ("Stringified list?", "Yes.")
    (path,) = CASES.glob("19-*")
    pirates = [raw for _, raw in Source(str(path)).records()][1:3]
    assert {read_dialogue(raw, "", "x").dialogue.system_prompt for raw in pirates} == {"You are a pirate."}


def test_thoughts_and_tokens_are_not_spoken():
    assert read("34") == [
        ("How many legs do two dogs have?", "Eight legs."),
        ("How many legs do three dogs have?", "Twelve."),
        ("Special token?", "Hello"),
    ]
    assert [dict(record.not_used) for record in found("34")] == [
        {"thoughts": 1},
        {"thoughts": 1},
        {"special tokens": 2},
    ]


def test_lmsys_as_parquet():
    assert read("36") == [("Which river runs through Basel?", "The Rhine.")]
    assert found("36")[0].dialogue.id == "a1"


def test_dialogstudio_by_its_name():
    (record,) = found("45")
    assert record.dialogue.id == "TOY--train--1"
    assert read("45") == [(*ZOO, "Where do I get on?", "Right outside the town hall.")]


def test_nvidia_chat_and_preferences():
    assert read("50") == [ZOO] * 5
    assert found("50")[0].dialogue.system_prompt == "You help travellers."


def test_logs_of_voice_agents():
    assert read("53") == [
        ("agent: Bus desk, how can I help?", *ZOO),
        (f"agent: {DESK}", ZOO[0]),
        ZOO,
        ZOO,
        (f"agent: {DESK}", ZOO[0]),
        (f"agent: {DESK}", ZOO[0]),
        ZOO,
    ]


@pytest.mark.parametrize(
    "talk",
    [
        {"transcript": [{"role": "user", "message": "Hi."}, {"role": "agent", "message": "Well, I", "interrupted": True,
         "original_message": "Well, I was about to say."}, {"role": "user", "message": "Stop."}]},
        {"items": [{"type": "message", "role": "user", "content": ["Hi."]},
         {"type": "message", "role": "assistant", "content": ["Well, I was about to say."], "interrupted": True},
         {"type": "function_call", "name": "f", "arguments": "{}"}, {"type": "message", "role": "user", "content": ["Stop."]}]},
        {"messages": [{"object": "realtime.item", "role": "user", "content": [{"type": "input_text", "text": "Hi."}]},
         {"object": "realtime.item", "status": "incomplete", "role": "assistant",
          "content": [{"type": "output_audio", "transcript": "Well, I was about to say."}]},
         {"role": "user", "content": "Stop."}]},
        {"events": [{"type": "conversation.item.created", "item": {"id": "u"}},
         {"type": "response.audio_transcript.done", "item_id": "a", "transcript": "Well, I was about to say."},
         {"type": "conversation.item.input_audio_transcription.completed", "item_id": "u", "transcript": "Hi."},
         {"type": "conversation.item.truncated", "item_id": "a"},
         {"type": "conversation.item.input_audio_transcription.completed", "item_id": "v", "transcript": "Stop."}]},
    ],
    ids=["ElevenLabs", "LiveKit", "Realtime items", "Realtime events"],
)  # fmt: skip
def test_an_interrupted_turn_makes_the_next_one_a_barge_in(talk):
    turns = read_dialogue(talk, "", "x").dialogue.turns
    assert [(turn.speaker, turn.text, turn.event, turn.may_wait) for turn in turns] == [
        ("user", "Hi.", None, False),
        ("agent", "Well, I was about to say.", None, False),
        ("user", "Stop.", "barge_in", True),
    ]


def test_a_mark_that_no_turn_of_the_user_follows_is_counted():
    said = [("agent", "Hello.", True), ("agent", "Are you there?", False), ("user", "Yes.", True)]
    raw = {"messages": [{"role": role, "content": text, "interrupted": mark} for role, text, mark in said]}
    record = read_dialogue(raw, "", "x")
    assert [turn.event for turn in record.dialogue.turns] == [None] * 3
    assert record.not_used == {
        "interruptions without a following user turn": 1,
        "messages.interrupted of a user": 1,
    }


def test_lists_line_by_line_and_concatenated_arrays_are_all_read():
    assert (
        read("61")
        == read("62")
        == [
            (ZOO[0], "The number twelve."),
            ("Is it open today?", "Yes, until six."),
            ("Can I bring a dog?", "Only on a lead."),
        ]
    )
    assert [record.dialogue.id for record in found("62")] == ["a0", "a1", "a2"]
