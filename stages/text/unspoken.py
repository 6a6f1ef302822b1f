"""Contents of a text that are not read aloud: blocks of code, tables, stage directions.

Code and tables are shown, so a phrase refers to them. `*laughs*`, `[pause]`, `(sighs)` and `<laugh>` say how
something is said; they are recognized by their words, since emphasis, asides and placeholders (`[your name]`) look
the same."""

import re
from collections.abc import Callable
from functools import cache
from itertools import pairwise

from markdown_it import MarkdownIt

CODE, TABLE, DIRECTION = "code", "table", "stage direction"

_ACTS = (
    "laughs|laughing|laughter|chuckles|chuckling|giggles|giggling|snickers|sighs|sighing|gasps|gasping|groans|"
    "groaning|moans|coughs|sneezes|sniffs|sniffles|sniffling|sobs|sobbing|weeps|cries|crying|whimpers|yawns|"
    "hums|humming|whistles|whistling|gulps|snorts|scoffs|smiles|smiling|grins|grinning|smirks|nods|nodding|"
    "shrugs|shrugging|winks|winking|blushes|frowns|winces|pauses|whispers|whispering|mutters|mumbles|inhales|"
    "exhales|hiccups|claps|clapping|cheers|applauds|screams|gestures"
)
_ABROAD = (  # German, Spanish, French, Italian, Portuguese
    "lacht|lachend|gelächter|kichert|seufzt|lächelt|lächelnd|nickt|grinst|schmunzelt|hustet|gähnt|flüstert|zwinkert|räuspert sich|"
    "(?:se )?ríe|riendo|risas|suspira|sonríe|sonriendo|tose|susurra|asiente|aplausos|"
    "rires|soupire|sourit|chuchote|tousse|hoche la tête|applaudissements|"
    "risate|sospira|sorride|sussurra|annuisce|applausi|"
    "risos|suspira|sorri|sussurra|acena com a cabeça|aplausos"
)
_SOUNDS = (
    "laugh|chuckle|giggle|sigh|gasp|groan|cough|coughing|sneeze|sneezing|sniff|breath|breathing|inhale|exhale|"
    "yawn|pause|pausing|silence|beat|applause|cheering|music|crosstalk|inaudible|unintelligible|noise|static|"
    "beep|ringing"
)
_HOW = r"(?:(?:\w+ly|long|short|brief|slight|soft|light|loud|deep|nervous|awkward|audible|dramatic|background|upbeat|gentle|leise|kurze) )"
_ACT = rf"(?:{_ACTS}|{_ABROAD}|(?:clears|clearing) (?:(?:his|her|their|my) )?throat|takes a (?:deep )?breath)"
_SOUND = rf"(?:{_SOUNDS})(?: (?:playing|plays|continues|stops|fades(?: out)?))?"
_MORE = r"(?: [\w',-]+){0,8}"
_CLAUSE = rf"{_HOW}?{_ACT}{_MORE}"
_TAG = rf"(?:{_HOW}{{0,2}}{_SOUND}(?: for [\w ]+)?|{_CLAUSE})"
_DIRECTION = re.compile(
    rf" ?(?:\\?\[ ?{_TAG}\.? ?\\?\](?!\()|</?{_TAG} ?/?>"
    rf"|\( ?{_HOW}?(?:{_ACT}|(?:long |short )?pause)(?: \w+ly)?\.? ?\)"
    rf"|(?<![*\\\w])\\?\*{_TAG}\.?\\?\*(?![*\w])|(?<![_\\\w])_{_TAG}\.?_(?![_\w]))",
    re.IGNORECASE,
)
_ACTION = re.compile(
    r"(?:(?<=[.?!] )|^)\*(?:[a-z]+s [^*\n.?!]{1,80}|waves|bows|hugs|blinks|stares)[.!]?\*(?=\s*(?:$|[\"'A-Z]|[^\x00-\x7f]))",
    re.MULTILINE,
)
"""A standalone `*walks to the door*`: it starts with a verb in lower case."""
_SUBJECT = re.compile(
    r"\b(?:s?he|it|who|that|which|one|(?:every|some|any|no)(?:one|body)|also|always|never|only|still)$", re.IGNORECASE
)
"""Before a verb in single stars that is emphasis: "he *smiles* a lot"."""
_BEFORE_BLOCK = re.compile(r"[\s>]*(?:(?:[-*+]|\d+[.)])\s+)?")
_NUMBER = re.compile(r"(?<!\S)\(?(\d{1,2})(?:\)|(?:(?<=^\d)|(?<=[.?!;:,] \d))\.) (?=[^\W\d]|[\"'*])")


def with_phrases(text: str, phrase: Callable[[str], str]) -> tuple[str, list[str]]:
    """The text with a phrase instead of each block of code and each table, and their kinds in order. `phrase` is
    called with `CODE` or `TABLE`."""
    if "```" not in text and "~~~" not in text and "|" not in text:
        return text, []
    lines, found, end = text.splitlines(), [], 0
    made: list[str] = []
    for token in _markdown().parse(text):
        kind = {"fence": CODE, "table_open": TABLE}.get(token.type)
        if kind is None or token.map is None:
            continue
        first, behind = token.map
        made += lines[end:first]
        end = behind
        if kind == TABLE or token.content.strip():
            found.append(kind)
            before = _BEFORE_BLOCK.match(lines[first])
            made += ["", (before[0] if before else "") + phrase(kind), ""]
    return "\n".join(made + lines[end:]) if end else text, found


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table").disable(["code", "html_block"])


def without_directions(text: str) -> tuple[str, int]:
    """The text without stage directions, and their number."""
    if not any(mark in text for mark in "*[(<_"):
        return text, 0
    plain, actions = _ACTION.subn("", text)
    parts, end = [], 0
    for found in _DIRECTION.finditer(plain):
        if not _SUBJECT.search(plain, 0, found.start()):
            behind = plain[found.end() : found.end() + 1]
            parts += [plain[end : found.start()], "" if behind in " ,.;:?!\n" else " "]
            end = found.end()
    return "".join(parts) + plain[end:], actions + len(parts) // 2


def with_items_apart(text: str) -> str:
    """A list written in one line, "1) this 2) that", with one line per item."""
    return "\n".join(_items_apart(line) for line in text.split("\n"))


def _items_apart(line: str) -> str:
    marks = list(_NUMBER.finditer(line))
    if [int(mark[1]) for mark in marks] != list(range(1, len(marks) + 1)) or len(marks) < 2:
        return line
    starts = [0, *(mark.start() for mark in marks if mark.start()), len(line)]
    return "\n".join(line[start:end].strip() for start, end in pairwise(starts))
