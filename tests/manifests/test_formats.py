import pytest

from manifests.formats import parse_dialogue
from manifests.records import BadDialogue, Turn

ASKED = [Turn("user", "Hi there."), Turn("agent", "Hello.")]

SAME_DIALOGUE = {
    "openai": {"messages": [{"role": "user", "content": "Hi there."}, {"role": "assistant", "content": "Hello."}]},
    "openai parts": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi there."}]},
            {"role": "assistant", "content": "Hello."},
        ]
    },
    "sharegpt": {"conversations": [{"from": "human", "value": "Hi there."}, {"from": "gpt", "value": "Hello."}]},
    "sharegpt with OpenAI keys": {
        "conversations": [{"role": "user", "content": "Hi there."}, {"role": "assistant", "content": "Hello."}]
    },
    "alpaca": {"instruction": "Hi there.", "input": "", "output": "Hello."},
    "ultrachat": {"data": ["Hi there.", "Hello."]},
    "own": {"turns": [{"speaker": "user", "text": "Hi there."}, {"speaker": "agent", "text": "Hello."}]},
}


@pytest.mark.parametrize("raw", SAME_DIALOGUE.values(), ids=SAME_DIALOGUE.keys())
def test_all_formats_give_the_same_dialogue(raw):
    dialogue = parse_dialogue(raw, "file:1", "file-000001")
    assert list(dialogue.turns) == ASKED
    assert dialogue.id == "file-000001"


def test_system_message_becomes_the_system_prompt_and_not_a_turn():
    raw = {"id": 7, "messages": [{"role": "system", "content": "Be kind."}, *SAME_DIALOGUE["openai"]["messages"]]}
    dialogue = parse_dialogue(raw, "file:1", "x")
    assert (dialogue.id, dialogue.system_prompt, len(dialogue.turns)) == ("7", "Be kind.", 2)


def test_alpaca_input_follows_the_instruction():
    raw = {"instruction": "Translate.", "input": "Guten Tag", "output": "Good day."}
    assert parse_dialogue(raw, "f:1", "x").turns[0].text == "Translate.\nGuten Tag"


def test_agent_may_speak_first():
    raw = {"messages": [{"role": "assistant", "content": "Welcome."}, {"role": "user", "content": "Hi."}]}
    assert [turn.speaker for turn in parse_dialogue(raw, "f:1", "x").turns] == ["agent", "user"]


def test_native_format_sets_voice_event_and_gap():
    raw = {
        "turns": [
            {"speaker": "agent", "text": "A long story."},
            {"speaker": "user", "text": "Stop.", "voice": "en+f3", "event": "barge_in", "gap_s": None},
            {"speaker": "agent", "text": "Yes?", "gap_s": 1.5},
        ]
    }
    turns = parse_dialogue(raw, "f:1", "x").turns
    assert (turns[1].voice, turns[1].event, turns[2].gap_s) == ("en+f3", "barge_in", 1.5)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("just text", "not_an_object"),
        ({"chat": []}, "unknown_format"),
        ({"messages": []}, "no_turns"),
        ({"messages": "hello"}, "wrong_type"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "no_turns"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "wrong_role"),
        ({"instruction": "Name a fruit."}, "no_answer"),
        ({"role": "user", "content": "Hi"}, "single_message"),
        ({"prompt": "Hi", "completion": "Go away.", "label": False}, "rejected_answer"),
        ({"dialogue": ["Hi.", "Hello.", "Hey."], "speakers": ["Mia", "Jon", "Ann"]}, "several_speakers"),
        ({"messages": [{"role": "user", "content": "What is this? <image>"}]}, "not_text"),
        ({"conversations": [{"from": "wizard", "value": "x"}]}, "wrong_role"),
        ({"turns": [{"speaker": "narrator", "text": "x"}]}, "wrong_role"),
        ({"turns": [{"speaker": "user", "text": "x", "mood": "sad"}]}, "wrong_field"),
        ({"data": ["Hi", "  "]}, "empty_turn"),
        ({"data": ["Only me."]}, "one_sided"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "not_text"),
        ({"messages": [{"role": "user", "content": 5}]}, "not_text"),
    ],
)
def test_errors_are_named(raw, reason):
    with pytest.raises(BadDialogue) as caught:
        parse_dialogue(raw, "f:1", "x")
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "raw",
    [
        {"data": ["Hi \ud83d", "Hello"]},
        {"id": "\udc00", "data": ["Hi", "Hello"]},
        {"messages": [{"role": "system", "content": "\ud83d"}, *SAME_DIALOGUE["openai"]["messages"]]},
        {"turns": [{"speaker": "user", "text": "Hi", "voice": "\ud83d"}, {"speaker": "agent", "text": "Hello"}]},
    ],
)
def test_half_a_surrogate_pair_is_rejected(raw):
    with pytest.raises(BadDialogue, match="half of a surrogate pair") as caught:
        parse_dialogue(raw, "f:1", "x")
    assert caught.value.reason == "not_utf8"


@pytest.mark.parametrize("id", [1.5, float("nan"), True, ["a"], {"a": 1}, b"a"])
def test_an_id_is_a_string_or_a_whole_number(id):
    with pytest.raises(BadDialogue, match="use a string or a whole number"):
        parse_dialogue({"id": id, "data": ["Hi", "Hello"]}, "f:1", "x")
    assert parse_dialogue({"id": 0, "data": ["Hi", "Hello"]}, "f:1", "x").id == "0"


@pytest.mark.parametrize("gap", [float("nan"), float("inf"), -0.1, 61])
def test_a_gap_that_is_not_a_duration_is_rejected(gap):
    raw = {"turns": [{"speaker": "user", "text": "Hi", "gap_s": gap}, {"speaker": "agent", "text": "Hello"}]}
    with pytest.raises(BadDialogue, match="gap_s"):
        parse_dialogue(raw, "f:1", "x")
