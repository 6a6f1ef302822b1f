"""A question and its answer: Alpaca and its relatives, TRL's prompts and completions, preferred answers."""

from collections.abc import Callable, Mapping
from typing import Any

from manifests.readers.chat import read_chat, read_lines
from manifests.readers.content import text_of
from manifests.readers.reading import Reading, fields_of
from manifests.readers.roles import ANSWER_KEYS, QUESTION_KEYS, is_chat, is_message, role_of
from manifests.readers.transcripts import Marked, is_transcript, marked_turns, read_transcript
from manifests.records import BadDialogue

Used = set[str]


def question_key(raw: Mapping[str, Any]) -> str | None:
    """The key of a pair's question: the first nonempty one, else the first one present."""
    empty = None
    for key in QUESTION_KEYS:
        if (question := raw.get(key)) is not None:
            if question not in ("", []):
                return key
            empty = empty or key
    return empty


def answer_key(raw: Mapping[str, Any]) -> str | None:
    for key in ANSWER_KEYS:
        if raw.get(key) is not None:
            return key
    return None


def read_pair(raw: Mapping[str, Any], reading: Reading) -> Used:
    """Alpaca (`instruction`, `input`, `output`, `history`, `system`), and pairs of question and answer under
    other names."""
    if raw.get("label") is False:
        raise BadDialogue("rejected_answer", "Its answer is labeled as bad ('label': false); remove it.")
    used = {"label"} if raw.get("label") is True else set()
    if raw.get("history") is not None:
        _read_history(raw["history"], reading)
        used.add("history")
    used |= _read_question(raw, reading)
    return used | _read_answer(raw, reading)


def read_chosen(raw: Mapping[str, Any], reading: Reading) -> Used:
    """The preferred answer of TRL, hh-rlhf and LLaMA-Factory, either appended to the dialogue or as the whole
    dialogue."""
    _say_answer(raw["chosen"], "chosen", "", reading)
    return {"chosen"}


def _read_history(history: Any, reading: Reading) -> None:
    if not isinstance(history, list):
        raise BadDialogue("wrong_type", "'history' must be a list of pairs, each a question and its answer.")
    if not history or is_chat(history):
        read_chat(history, "history", reading)
        return
    if all(isinstance(line, str) for line in history):
        read_lines(history, reading)
        return
    for number, pair in enumerate(history, 1):
        if isinstance(pair, Mapping):
            read_chat([pair], "history", reading)
            continue
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise BadDialogue("wrong_type", f"Item {number} of 'history' is not a pair of a question and its answer.")
        read_lines(pair, reading)


def _read_question(raw: Mapping[str, Any], reading: Reading) -> Used:
    key = question_key(raw)
    if key is None:
        return set()
    question = raw[key]
    if isinstance(question, list) and any(isinstance(message, Mapping) for message in question):
        read_chat(question, key, reading)
        return {key}
    if isinstance(question, str) and key != "instruction" and (marked := _prompt(question)):
        read_transcript(marked, reading)
        return {key}
    text, used = text_of(question, 1, reading), {key}
    if key == "instruction":
        extra = next((name for name in ("input", "context") if raw.get(name)), None)
        if extra:
            more = text_of(raw[extra], 1, reading)
            text, used = f"{text}\n{more}" if text else more, used | {extra}
    reading.say("user", text)
    return used


def _prompt(text: str) -> Marked:
    """A prompt that is a dialogue awaiting an answer at its end; empty if it is not one."""
    marked = marked_turns(text, 1, of_templates=True)
    if not any(role == "user" for role, _ in marked):
        return []
    if marked[-1] == ("agent", ""):
        return marked[:-1]
    return marked if text.lstrip().startswith(("<", "[INST]")) else []


def _read_answer(raw: Mapping[str, Any], reading: Reading) -> Used:
    key = answer_key(raw)
    if key is None:
        message = f"There is a question, but no answer under {', '.join(ANSWER_KEYS[:6])} (its keys: {fields_of(raw)})."
        raise BadDialogue("no_answer", message)
    asked = question_key(raw)
    question = raw[asked] if asked else None
    prompt = question if asked != "instruction" and isinstance(question, str) and _prompt(question) else ""
    _say_answer(raw[key], key, prompt, reading)
    return {key}


def _say_answer(answer: Any, key: str, prompt: str, reading: Reading) -> None:
    """The answer, or the whole dialogue including the prompt."""
    if isinstance(answer, Mapping) and is_message(answer):
        answer = [answer]
    if is_chat(answer):
        if any(_is_user(message) for message in answer):
            _say_anew(reading, key, lambda: read_chat(answer, key, reading))
        else:
            read_chat(answer, key, reading)
    elif (
        isinstance(answer, str)
        and (not reading.turns or (prompt and answer.startswith(prompt)))
        and is_transcript(answer)
    ):
        _say_anew(reading, key, lambda: read_transcript(marked_turns(answer), reading))
    elif isinstance(answer, list) and answer and all(isinstance(text, str) for text in answer):
        reading.say("agent", answer[0])
        if len(answer) > 1:
            reading.leave("further answers", len(answer) - 1)
    else:
        reading.say("agent", text_of(answer, len(reading.turns) + 1, reading))


def _say_anew(reading: Reading, key: str, read: Callable[[], None]) -> None:
    """Read a dialogue that repeats the prompt, replacing it; turns that it does not repeat are counted."""
    before = reading.turns[:]
    reading.turns.clear()
    read()
    said = {turn.text for turn in reading.turns}
    if missing := sum(turn.text not in said for turn in before):
        reading.leave(f"turns replaced by '{key}'", missing)


def _is_user(message: Any) -> bool:
    if not isinstance(message, Mapping):
        return False
    return role_of(message.get("role") or message.get("from")) == "user"
