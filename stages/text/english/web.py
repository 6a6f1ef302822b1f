"""Web addresses, file names, handles and hashtags."""

import re
from urllib.parse import urlsplit

from stages.text.english.rewriting import readings, say_digits

_EXTENSIONS = (
    "pdf|txt|md|py|js|ts|jsx|tsx|html?|css|json|ya?ml|csv|tsv|xml|docx?|xlsx?|pptx?|png|jpe?g|gif|svg|webp|mp[34]|wav|flac|avi"
    "|mov|mkv|zip|tar|gz|rar|exe|dmg|iso|bat|ini|cfg|conf|log|sql|java|cpp|rb|php|toml|ipynb|parquet"
)
_HOST = r"(?:[A-Za-z0-9-]+\.)+(?:com|org|net|edu|gov|io|dev|ai|app|co|uk|de|fr|eu|ca|au|info|me|tv)"
_MARKS = {".": "dot", "_": "underscore", "-": "dash", "+": "plus", "%": "percent", "@": "at"}


def _url(match: re.Match[str]) -> str:
    """Only the host: nobody reads a path aloud, and the written text is kept."""
    host = urlsplit(match[0] if "://" in match[0] else f"https://{match[0]}").hostname or ""
    ends = match[0][-1] if match[0][-1] in ".,?!;:" else ""
    return _spell(host.removeprefix("www.").rstrip(".")) + ends


def _mail(match: re.Match[str]) -> str:
    return re.sub(r"\d+", lambda digits: f" {say_digits(digits[0])} ", _spell(match[0]))


def _spell(name: str) -> str:
    return " ".join("".join(f" {_MARKS[char]} " if char in _MARKS else char for char in name).split())


def _hashtag(match: re.Match[str]) -> str:
    return " hashtag " + re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=\d)(?=[a-z])|_", " ", match[1])


WEB = readings(
    (r"(?i)\b(?:https?://|ftp://|www\.)[^\s<>\")]+", _url),
    (r"(?<![\w.+%-])[\w.+%-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}\b", _mail),
    (rf"(?<![\w.@/-]){_HOST}(?::\d+)?/[^\s<>\")]*", _url),
    (rf"(?<![\w.@/-]){_HOST}\b(?![\w/@-])", _url),
    (rf"(?<![\w.])[\w-]+(?:\.[\w-]+)*\.(?:(?i:{_EXTENSIONS}))\b(?![\w(])", lambda m: _spell(m[0])),
    (r"(?<!\S)~/(?=[\w.])", "tilde slash "),
    (r"(?<![\w/])/etc\b(?=/)", "slash etc "),
    (r"(?<!\S)\*\.(?=[a-z]{1,5}\b)", "star dot "),
    (r"(?<!\S)\.(?=[a-z]{2,}\b)", "dot "),
    (r"\b([A-Z]):\\(?=\w)", r"\1 drive \\"),
    (r"(?<!\w)#(\d+[A-Za-z_]\w*|(?=[^\W\d_])\w+)", _hashtag),
    (r"#\s?(?=\d)", " number "),
    (r"(?<!\w)@(?=\w)", " at "),
)
