"""The prompt of an LLM director, with a dialogue's numbered words, and the parsing of its answer, a `Script` as JSON."""

import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from stages.directing.script import APART, FIRST, LEFT, LONGEST, LONGEST_REPLY, Kind, Line, Script, Unusable

_KINDS: dict[Kind, str] = {
    "interruption": (
        "the user breaks in while the agent talks, because of what is being said (a wrong assumption, a question, enough heard), "
        "and the agent falls silent soon after that word. Either the user's next turn is what breaks in: then says and reply are "
        f'"". Or new words do: then says is what the user says (at most {LONGEST["interruption"][1]} words) and reply what the '
        f"agent answers (at most {LONGEST_REPLY} words), with whatever of its turn still has to be said; the conversation then "
        "goes on with the user's next turn as it stands"
    ),
    "backchannel": (
        f"the user says a word or two (at most {LONGEST['backchannel'][1]}) that fit what was just said, and the agent talks on"
    ),
    "hesitation": (
        f"the user looks for a word: um, uh, let me see (at most {LONGEST['hesitation'][1]} words), put in after that word"
    ),
    "self_correction": (
        'the user says something wrong and takes it back, put in before the right words, as in "two, no, sorry" before "three" '
        f"({LONGEST['self_correction'][0]} to {LONGEST['self_correction'][1]} words)"
    ),
}


def system_prompt(kinds: Sequence[Kind], most: int, language: str, wishes: str) -> str:
    known = [
        f"- {kind}, in a turn of the {'agent' if kind in LEFT else 'user'}: {_KINDS[kind]}. {_place(kind)}"
        for kind in kinds
    ]
    lines = [
        "You direct a spoken conversation between a user and a voice agent, so that it sounds as people talk. Below are its turns. Behind "
        "each word stands its number.",
        f"Add at most {most} events where they make sense, and none where none does. Kinds of events:",
        *known,
        f"Two events during one turn of the agent are at least {APART} words apart, and an interruption is the last one in its turn. Turns "
        f"marked as fixed get none. All that you add is spoken {language}: plain words, no symbols, no digits.",
        *([wishes] if wishes else []),
        'Reply with one JSON object and nothing else: {"events": [{"kind": "…", "turn": 2, "after_word": 7, "says": "…", "reply": ""}]}, '
        "where turn is the turn's number, and after_word that of the word after which the event begins (0: before the first).",
    ]
    return "\n".join(lines)


def _place(kind: Kind) -> str:
    if kind not in LEFT:
        return "after_word is between 0 and the number of the second-to-last word."
    return f"after_word is {FIRST} or more, and {LEFT[kind]} words or more are left behind it."


def numbered(lines: Sequence[Line]) -> str:
    return "\n".join(
        f"Turn {number}, {line.speaker}{'' if line.open else ', fixed'}: "
        + " ".join(f"{word}[{at}]" for at, word in enumerate(line.words, 1))
        for number, line in enumerate(lines, 1)
    )


def read_script(answer: str) -> Script:
    """The script in an LLM's answer, ignoring text around it; raises `Unusable` if there is none."""
    if not answer.strip():
        raise Unusable("empty_answer", "The answer is empty.")
    found = re.search(r"\{.*\}", answer, re.DOTALL)
    try:
        plain = json.loads(found[0]) if found else None
    except (ValueError, RecursionError):
        plain = None
    if not isinstance(plain, dict):
        raise Unusable("not_json", "The answer is not a complete JSON object.")
    try:
        return Script.model_validate(plain)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Unusable("not_as_asked", f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from None


def response_format() -> dict[str, Any]:
    """The script's JSON schema for structured output, without bounds, which not all servers support."""
    schema = _shape(Script.model_json_schema(mode="serialization"))
    return {"type": "json_schema", "json_schema": {"name": "script", "strict": True, "schema": schema}}


def _shape(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_shape(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    left_out = ("title", "description", "default", "minimum", "maxLength")
    return {key: _shape(value) for key, value in schema.items() if key not in left_out}
