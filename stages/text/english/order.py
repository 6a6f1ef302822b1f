"""The order of the readings."""

import re
from urllib.parse import urlsplit

from stages.text.english.rewriting import NUMBER, readings, say_digits
from stages.text.english.symbols import SYMBOLS

_STREETS = {"St": "Street", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Dr": "Drive", "Ln": "Lane",
            "Ct": "Court", "Pl": "Place", "Hwy": "Highway", "Pkwy": "Parkway"}  # fmt: skip


def _url(match: re.Match[str]) -> str:
    """The host alone: nobody reads out a path, and the written text stays beside the spoken."""
    host = urlsplit(match[0] if "://" in match[0] else f"https://{match[0]}").hostname or ""
    return host.removeprefix("www.").replace(".", " dot ") + (match[0][-1] if match[0][-1] in ".,?!;:" else "")


def _street(match: re.Match[str]) -> str:
    ends = match[3] and re.match(r"\s*$|\s+[A-Z]", match.string[match.end() :])
    return f"{match[1]}{_STREETS[match[2]]}" + ("." if ends else "")


def _thousands(match: re.Match[str]) -> str:
    return f"{match[2]} thousand {SYMBOLS[match[1]]}"


def _currency(match: re.Match[str]) -> str:
    return f"{match[2]} {SYMBOLS[match[1]]}"


ENGLISH = readings(
    (r"(?i)\b(?:https?://|ftp://|www\.)[^\s<>\"]+", _url),
    (r'(?<![^\s(])"([^"]+)"(?!\w)', r"\1"),  # the quote behind "Chapter 1" is no inch
    (r"(?<=[a-z)])([.?!])(?=[A-Z])", r"\1 "),  # 'nice.It' is two sentences, not a host
    (r"(?<=[ap]m)\s?[-–]\s?(?=\d)", " to "),
    (r"\s*[—―]+\s*|\s+[-–]+\s+(?!\d)|(?<!-)--+(?!-)", ", "),
    (r"(?<=[^\W\d])–|–(?=[^\W\d])", ", "),
    (r"[–−]", "-"),
    (r"-+>|=+>", " to "),
    (r"\b((?:[A-Z]\.){2,})(?=\s+[a-z0-9]|[,;:])", lambda m: m[1].replace(".", "")),  # U.S. troops
    (r"\b((?:[A-Z]\.)+[A-Z])\.", lambda m: m[1].replace(".", "") + "."),
    (r"&", " and "),
    (r"=", " equals "),
    (r"(?<=\s)>(?=\s)|(?<=\d)>(?=\d)", " greater than "),
    (r"(?<=\s)<(?=\s)|<(?=\d)", " less than "),
    (r"(?<=\d)\s+\*\s+(?=\d)", " times "),
    (r"_{2,}", " blank "),
    (r"\b([CF])#", r"\1 sharp"),
    (r"\b[Nn]o\.\s?(?=\d)", "number "),
    (r"#(?=\s?\d)", " number "),
    (r"#(?=[^\W\d_])", " hashtag "),
    (r"(?<!\w)@(?=\w)", " at "),
    (r"~(?=\s*[$€£]?\d)", "about "),
    (r"\b24/7\b", "twenty four seven"),
    (r"\((\d{3})\)\s?(\d{3})-(\d{4})\b", r"\1-\2-\3"),
    (r"(?<![\d.,$/:-])\d{1,4}(?: \d{2,4}){2,}(?![.,/:-]?\d)", lambda m: ", ".join(map(say_digits, m[0].split()))),
    (r"\b911\b", lambda m: say_digits(m[0])),
    (r"(?<![\d.)-])(?<![\d)] )(\d{3})-(\d{4})(?![\d-])", lambda m: f"{say_digits(m[1])}, {say_digits(m[2])}"),
    (r"(?<![\d.])\d{1,2}(?:\.\d{1,2}){2,}(?!\.?\d)", lambda m: m[0].replace(".", " point ")),
    (r"\b(\d)'\s?(\d{1,2})(?:\"|'')?", r"\1 foot \2"),
    (r"\bUS\$", "$"),
    (rf"([$€£])\s*({NUMBER})\s?[kK]\b", _thousands),
    (rf"([₹₩¢])\s*({NUMBER})", _currency),
    (r"(?<=\d)\s?¢", " cents"),
    (r"(\d\.\d+)M\b", r"\1 million"),
    (r"([$€£])\s+(?=\d)", r"\1"),
    (rf"(?<![$€£\d.,])({NUMBER})\s?([$€£])(?!\d)", r"\2\1"),
    (
        r"(?<![-\d./$])(?!\d{3}-\d{4}\b)([$€£]?\d{1,4}(?:\.\d+)?%?)\s?-\s?([$€£]?\d{1,4}(?:\.\d+)?%?)(?![-\d/]|\.\d)",
        r"\1 to \2",
    ),
    (rf"(\d\S*\s(?:[A-Z0-9]\w*\s){{1,3}})({'|'.join(_STREETS)})\b(\.?)", _street),
    (r"\bSt\.? (?=[A-Z])", "Saint "),
    (r"\bSt\.", "Street"),
    (r"\betc\.(?=\s+[a-z])", "et cetera"),
    (r"\s*\|\s*", ", "),
    (r"[\[\]{}<>*~©®™•]|\^(?!\w)", " "),  # marks of layout that nobody reads out
)
"""Where chat wants another reading than the grammar's own, in this order."""
