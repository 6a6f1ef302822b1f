"""Public shapes without a file in `tests/data/cases`, each in a sample written for this test; nothing is lost
silently."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.formats import read_dialogue
from manifests.readers.roles import role_of
from manifests.readers.shapes import shape_of
from manifests.records import BadDialogue
from manifests.words import words_of

HH = "\n\nHuman: Is it far?\n\nAssistant: Ten minutes.\n\nHuman: Thanks.\n\nAssistant: Any time."
TALK = ["Is it far?", "Ten minutes.", "Thanks.", "Any time."]
PAIR = TALK[:2]
TREE = {
    "message_tree_id": "t1",
    "prompt": {
        "text": "Is it far?",
        "role": "prompter",
        "replies": [
            {"text": "Very.", "role": "assistant", "rank": 1, "replies": []},
            {"text": "Ten minutes.", "role": "assistant", "rank": 0, "replies": [
                {"text": "Thanks.", "role": "prompter", "replies": [{"text": "Any time.", "role": "assistant", "replies": []}]}
            ]},
        ],
    },
}  # fmt: skip


def chat(role: str, text: str, *roles: str) -> list[dict]:
    return [{role: roles[number % 2], text: line} for number, line in enumerate(TALK)]


SHAPES = {
    "OpenAI": {"messages": chat("role", "content", "user", "assistant")},
    "bare list": chat("role", "content", "user", "assistant"),
    "Bedrock": {"system": [{"text": "Be kind."}], "messages": [
        {"role": "user" if n % 2 == 0 else "assistant", "content": [{"text": line}]} for n, line in enumerate(TALK)]},
    "Anthropic's thoughts": {"messages": [
        {"role": "user", "content": TALK[0]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "tool_use", "name": "map"}]},
        {"role": "user", "content": [{"type": "tool_result", "content": "10"}]},
        {"role": "assistant", "content": [{"type": "text", "text": TALK[1]}]},
        {"role": "user", "content": TALK[2]}, {"role": "assistant", "content": TALK[3]}]},
    "ChatGPT export": {"messages": [{"author": {"role": "user" if n % 2 == 0 else "assistant"},
        "content": {"content_type": "text", "parts": [line]}} for n, line in enumerate(TALK)]},
    "ChatGPT export, whole": {"title": "t", "current_node": "3", "mapping": {
        "root": {"parent": None, "message": None, "children": ["0"]}, "x": {"parent": "0", "message": {"author": {"role": "assistant"},
        "content": {"content_type": "text", "parts": ["No idea."]}}}, **{str(n): {"parent": str(n - 1) if n else "root", "message": {
        "id": f"m{n}", "author": {"role": "user" if n % 2 == 0 else "assistant"}, "content": {"content_type": "text", "parts": [line]}}}
        for n, line in enumerate(TALK)}}},
    "Chatbot Arena": {"conversation_a": chat("role", "content", "assistant", "user"), "winner": "model_b",
        "conversation_b": chat("role", "content", "user", "assistant")},
    "OpenAI's stored requests": {"request": {"body": {"messages": chat("role", "content", "user", "assistant")[:3], "model": "m"}},
        "response": {"body": {"choices": [{"message": {"role": "assistant", "content": TALK[3]}}]}}},
    "Bedrock's invocations": {"input": {"inputBodyJson": {"messages": chat("role", "content", "user", "assistant")[:3]}},
        "output": {"outputBodyJson": {"output": {"message": {"role": "assistant", "content": [{"text": TALK[3]}]}}}}},
    "JSON in a string": {"id": 1, "Conversation": json.dumps(chat("role", "content", "user", "assistant"))},
    "Vapi webhook": {"message": {"type": "end-of-call-report", "artifact": {
        "messages": [{"role": "system", "message": "Be kind."}, *chat("role", "message", "user", "bot")]}}},
    "Retell webhook": {"event": "call_ended", "call": {"call_id": "c", "transcript_object": chat("role", "content", "user", "agent")}},
    "the hub's rows": {"row_idx": 0, "row": {"conversations": chat("from", "value", "human", "gpt")}},
    "Taskmaster": {"conversation_id": "d", "utterances": chat("speaker", "text", "USER", "ASSISTANT")},
    "SGD": {"dialogue_id": "1_00000", "turns": chat("speaker", "utterance", "USER", "SYSTEM")},
    "own form, other case": {"turns": chat("speaker", "text", "User", "Agent")},
    "Topical-Chat": {"content": chat("agent", "message", "agent_1", "agent_2"), "config": "A"},
    "Open Assistant tree": TREE,
    "Open Assistant thread": {"thread": chat("role", "text", "prompter", "assistant")},
    "DailyDialog": {"dialog": TALK, "act": [1, 2, 3, 4]},
    "people by name": {"dialogue": chat("speaker", "text", "Mia", "Jon")},
    "DialogSum": {"fname": "x", "dialogue": "\n".join(f"#Person{n % 2 + 1}#: {line}" for n, line in enumerate(TALK))},
    "SAMSum": {"dialogue": "\r\n".join(f"{('Mia', 'Jon')[n % 2]}: {line}" for n, line in enumerate(TALK))},
    "UltraChat": {"id": "0", "data": TALK},
    "XTuner": {"conversation": [{"system": "Be kind.", "input": TALK[0], "output": TALK[1]}, {"input": TALK[2], "output": TALK[3]}]},
    "history of strings": {"instruction": TALK[2], "history": TALK[:2], "output": TALK[3]},
    "hh-rlhf": {"chosen": HH, "rejected": HH + " Not."},
    "hh-rlhf prompt": {"prompt": HH.removesuffix(" Any time."), "response": "Any time."},
    "hh-rlhf prompt and whole": {"prompt": HH.removesuffix(" Any time."), "chosen": HH, "rejected": HH + " Not."},
    "UltraFeedback": {"prompt": "Is it far?", "chosen": chat("role", "content", "user", "assistant")},
    "Guanaco": {"text": "### Human: Is it far?### Assistant: Ten minutes.\n### Human: Thanks.\n### Assistant: Any time."},
    "ChatML": {"text": "".join(f"<|im_start|>{('user', 'assistant')[n % 2]}\n{line}<|im_end|>\n" for n, line in enumerate(TALK))},
    "Llama 2": {"text": "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nIs it far? [/INST] Ten minutes. </s><s>[INST] Thanks. [/INST] Any time. </s>"},
    "Llama 3": {"text": "<|begin_of_text|>" + "".join(
        f"<|start_header_id|>{('user', 'assistant')[n % 2]}<|end_header_id|>\n\n{line}<|eot_id|>" for n, line in enumerate(TALK))},
    "Gemma": {"text": "".join(f"<start_of_turn>{('user', 'model')[n % 2]}\n{line}<end_of_turn>\n" for n, line in enumerate(TALK))},
    "call transcript": {"transcript": "\n".join(f"{('User', 'Agent')[n % 2]}: {line}" for n, line in enumerate(TALK))},
}  # fmt: skip


@pytest.mark.parametrize("raw", SHAPES.values(), ids=SHAPES.keys())
def test_a_public_shape_is_read(raw):
    dialogue = read_dialogue(raw, "f:1", "x").dialogue
    assert [(turn.speaker, turn.text) for turn in dialogue.turns] == list(zip(["user", "agent"] * 2, TALK, strict=True))
    if "Be kind." in json.dumps(raw):
        assert dialogue.system_prompt == "Be kind."


@pytest.mark.parametrize(
    "raw",
    [
        {"question": "Is it far?", "answers": ["Ten minutes.", "Not far."]},
        {"prompt": "Is it far?", "completion": "Ten minutes.", "label": True},
        {"Prompt": "Is it far?", "Response": "Ten minutes."},
        {"user": "Is it far?", "assistant": "<think>Hm.</think>Ten minutes."},
        {"prompt": [{"role": "user", "content": "Is it far?"}], "completion": "Hm.</think>\n\nTen minutes."},
    ],
)
def test_a_question_and_its_answer_under_other_names(raw):
    assert [turn.text for turn in read_dialogue(raw, "f:1", "x").dialogue.turns] == PAIR


def test_dialogstudio_may_leave_a_side_empty():
    log = [
        {"user utterance": "", "system response": "Hello?"},
        {"user utterance": "Is it far?", "system response": "No."},
    ]
    assert [turn.text for turn in read_dialogue({"log": log}, "", "x").dialogue.turns] == [
        "Hello?",
        "Is it far?",
        "No.",
    ]


def test_an_answer_or_an_instruction_that_quotes_a_dialogue_is_one_turn():
    quoted = "User: Hello.\nAssistant: Hi.\n\nHuman: Bye.\n\nAssistant: Bye."
    for raw in ({"instruction": quoted, "output": quoted}, {"prompt": f"Go on:\n{quoted}", "response": quoted}):
        assert len(read_dialogue(raw, "f:1", "x").dialogue.turns) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>a</think>b<think>c</think>d", "bd"),
        ("<think>a <think> b</think> c", "c"),
        ("a</think>\n\nb", "b"),
        ("</think> closes it.", "</think> closes it."),
        ("b <think> opens", "b <think> opens"),
        ("<THINKING>a</thinking>b", "b"),
        ("b" + "<think>" * 100_000, "b" + "<think>" * 100_000),
    ],
)
def test_thoughts_are_removed_from_the_agents_words(text, said):
    turns = read_dialogue({"data": ["Hi.", text]}, "", "x").dialogue.turns
    assert turns[1].text == said


def test_a_text_of_marks_only_is_handled():
    """It would take minutes if each mark searched for its end."""
    for mark in ("[INST]", "<<SYS>>[INST]", "<|im_start|>", "### ", "\n\nHuman:", "<think>"):
        for raw in ({"text": mark * 30_000}, {"prompt": mark * 30_000, "completion": mark * 30_000}):
            try:
                read_dialogue(raw, "", "x")
            except BadDialogue as error:
                assert error.reason


def test_records_nested_too_deeply_are_rejected():
    deep: dict = {}
    for _ in range(900):
        deep = {"parts": [deep], "role": deep, "data": deep}
    for raw in (deep, {"messages": [{"role": "user", "content": deep}, {"role": deep, "content": "x"}]}):
        with pytest.raises(BadDialogue):
            read_dialogue(raw, "", "x")


def test_a_think_tag_that_someone_speaks_of_stays():
    raw = {
        "messages": [
            {"role": "user", "content": "What is <think>?"},
            {"role": "assistant", "content": "The tag <think> opens."},
        ]
    }
    assert [turn.text for turn in read_dialogue(raw, "", "x").dialogue.turns] == [
        "What is <think>?",
        "The tag <think> opens.",
    ]


def test_the_envelope_gives_its_id_to_its_dialogue():
    raw = {"id": "outer", "data": {"messages": chat("role", "content", "user", "assistant")}}
    assert read_dialogue(raw, "", "x").dialogue.id == "outer"
    raw["data"]["id"] = "inner"
    found = read_dialogue(raw, "", "x")
    assert (found.dialogue.id, dict(found.not_used)) == ("inner", {"id": 1})


def strings(value: object, path: tuple = ()) -> Iterator[tuple[tuple, str]]:
    if isinstance(value, str) and value.strip():
        yield path, value
    elif isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from strings(inner, (*path, key))


def without(value: object, path: tuple) -> object:
    """A copy without the value at `path`."""
    copy = json.loads(json.dumps(value))
    place = copy
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return copy


def outcome(raw: object) -> object:
    try:
        found = read_dialogue(raw, "f:1", "x")
    except BadDialogue as error:
        return str(error)
    return found.dialogue, found.not_used


extras = st.dictionaries(
    st.sampled_from(["tools", "name", "images", "note", "metadata", "source", "Notes"]),
    st.text("abc", min_size=1) | st.lists(st.text("abc", min_size=1), min_size=1) | st.builds(lambda: {"deep": ["er"]}),
    max_size=3,
)


def objects(value: object, path: tuple = ()) -> Iterator[tuple]:
    """The paths of the objects in a record, including itself."""
    if isinstance(value, dict):
        yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from objects(inner, (*path, key))


GUIDES = {"current_node", "children", "parent", "winner", "type", "content_type"}
"""The keys of what leads to the words, and says what kind they are."""
LOSER = {"Chatbot Arena": "conversation_a"}
"""The conversation without which a shape is another one: all of it counts as one rejected answer."""
BY_ID = {("mapping",)}
"""Mappings from ids to messages, which have no room for another field."""


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from([name for name in SHAPES if name != "bare list"]))
def test_every_string_of_a_record_is_spoken_kept_or_counted(data, name):
    """A string that is neither spoken nor kept is counted, alone or with a surrounding field whose removal does not
    change the spoken text."""
    raw = json.loads(json.dumps(SHAPES[name]))
    for _ in range(data.draw(st.integers(0, 3))):
        place = raw
        for key in data.draw(st.sampled_from(sorted({*objects(raw)} - BY_ID, key=str))):
            place = place[key]
        place |= {f"x_{key}": value for key, value in data.draw(extras).items()}
    found = read_dialogue(raw, "f:1", "x")
    kept = "\n".join([*(turn.text for turn in found.dialogue.turns), found.dialogue.system_prompt, found.dialogue.id])
    for path, string in strings(raw):
        if GUIDES & {*path} or all(turn.text in string for turn in found.dialogue.turns):
            continue
        names = {"agent_1", "agent_2", "mia", "jon", "human", "assistant"}
        if string in kept or role_of(string) or set(words_of(string)) <= {*words_of(kept), *names}:
            continue
        if path[0] == LOSER.get(name):
            assert found.not_used["rejected answers"]
            continue
        others = [outcome(without(raw, path[:length])) for length in range(1, len(path) + 1)]
        assert any(
            isinstance(other, tuple) and other[0] == found.dialogue and other[1] != found.not_used for other in others
        ), f"{'.'.join(map(str, path))} is lost"


def test_a_field_next_to_a_tree_without_a_pointer_is_counted():
    raw = {key: value for key, value in SHAPES["ChatGPT export, whole"].items() if key != "current_node"}
    assert read_dialogue(raw, "", "x").not_used["title"] == 1
    raw = {"messages": SHAPES["OpenAI"]["messages"], "conversation_id": ["c"], "x": "y"}
    assert read_dialogue(raw, "", "x").not_used == {"conversation_id": 1, "x": 1}


def test_a_record_without_a_shape_is_not_a_dialogue():
    assert shape_of({"chat": [], "note": "x"}) is None and shape_of({}) is None
    with pytest.raises(BadDialogue, match="keys a, b"):
        read_dialogue({"b": 1, "a": {"data": {"data": {"data": {"data": {}}}}}}, "", "x")


@pytest.mark.parametrize("replies", [True, 3, "no", {"text": "no"}])
def test_replies_that_are_not_a_list_are_rejected_by_name(replies) -> None:
    below = {"role": "assistant", "text": "Hi.", "replies": replies}
    tree = {"prompt": {"role": "prompter", "text": "Hello there.", "replies": [below]}}
    with pytest.raises(BadDialogue, match="The replies to message 2 must be a list"):
        read_dialogue(tree, "", "")
