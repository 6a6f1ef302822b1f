"""LaTeX mathematics as plain mathematics, before markdown takes its backslashes and stars away."""

import re

_SPAN = re.compile(
    r"\$\$(?P<display>.+?)\$\$|\\\[(?P<bracket>.+?)\\\]|\\\((?P<paren>.+?)\\\)"
    r"|(?<![\w$\\])\$(?=\S)(?P<inline>[^$\n]*?[\\^_=+*/<>-][^$\n]*?|[^\s$\d][^\s$]*|\w\([^$\n]*\))(?<=\S)\$(?![\w$])",
    re.DOTALL,
)
_BARE = re.compile(r"\\(?:frac|sqrt|int|sum|times|cdot|leq|geq|pi|theta|alpha|beta)\b")
_WORDS = {
    "times": "×", "cdot": "×", "div": "÷", "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "neq": "≠", "ne": "≠", "approx": "≈",
    "pm": "±", "infty": "infinity", "to": "→", "rightarrow": "→", "Rightarrow": "→", "in": "in", "cup": "union",
    "cap": "intersection", "subset": "subset of", "forall": "for all", "exists": "there exists", "partial": "partial",
    "nabla": "nabla", "int": "the integral of", "sum": "the sum of", "prod": "the product of", "lim": "the limit of",
    "log": "log", "ln": "ln", "sin": "sine", "cos": "cosine", "tan": "tangent", "circ": "°", "degree": "°", "ldots": "…",
    "dots": "…", "cdots": "…", "therefore": "therefore", "angle": "angle", "perp": "perpendicular to", "parallel": "parallel to",
    "equiv": "is equivalent to", "propto": "is proportional to", "mid": "given", "neg": "not", "land": "and", "lor": "or",
    "left": "", "right": "", "displaystyle": "", "quad": "", "qquad": "", "limits": "", "big": "", "Big": "",
}  # fmt: skip
"""Commands not read by their own names, unlike Greek letters."""
_GROUP = r"\{([^{}]*)\}"
_NAMED = re.compile(
    r"\\(?:text|mathrm|mathbf|mathbb|mathcal|operatorname|boxed|overline|vec|hat|bar|textbf)\s*" + _GROUP
)
_FRACTION = re.compile(rf"\\[dt]?frac\s*{_GROUP}\s*{_GROUP}")
_ROOT = re.compile(rf"\\sqrt\s*(?:\[(\w+)\])?{_GROUP}")
_BOUNDED = re.compile(rf"\\(int|sum|prod)(?:\\limits)?_(?:{_GROUP}|(\w))\^(?:{_GROUP}|\\?(\w+))")
_TARGET = re.compile(rf"\\lim_{_GROUP}")


def read_latex(text: str) -> str:
    if "$" not in text and "\\" not in text and "^{" not in text:
        return text
    text = _SPAN.sub(lambda match: f" {_plain(next(filter(None, match.groups())))} ", text)
    text = "\n".join(_plain(line) if _BARE.search(line) else line for line in text.split("\n"))
    return re.sub(rf"\^{_GROUP}", r"^(\1)", text)


def _plain(formula: str) -> str:
    text = re.sub(r"\\(?:begin|end)\s*\{[^{}]*\}(?:\{[^{}]*\})?|\\[,;:! ]|~", " ", formula)
    text = re.sub(r"(?<=\S)\\\\\s*", ", ", text).replace("&", " ")
    text = re.sub(r"\\([%$#_{}])", r"\1", text)
    for _ in range(4):  # nested expressions, from the inside out
        text = _NAMED.sub(r" \1 ", text)
        text = _ROOT.sub(_root, text)
        text = _FRACTION.sub(_fraction, text)
        text = _BOUNDED.sub(_bounded, text)
        text = _TARGET.sub(r" the limit as \1 of ", text)
        text = re.sub(rf"\^{_GROUP}", r"^(\1)", text)
        text = re.sub(rf"_{_GROUP}", r" \1 ", text)
    text = re.sub(r"\\([A-Za-z]+)", lambda match: f" {_WORDS.get(match[1], match[1])} ", text)
    text = re.sub(r"(?<=[\w)])!", " factorial", text)
    text = re.sub(r"(?<=\w)_(?=\w)", " ", text)
    text = re.sub(r"(?<=[\w)])\s*\*\s*(?=[\w(])", " times ", text)
    text = re.sub(r"\s*-\s*", " minus ", text)
    text = re.sub(r"\s*([<>])\s*", r" \1 ", text)
    return " ".join(re.sub(r"[{}\\]", " ", text).split())


def _root(match: re.Match[str]) -> str:
    kind = {None: "square", "2": "square", "3": "cube"}.get(match[1], f"{match[1]}th")
    return f" the {kind} root of {match[2]} "


def _fraction(match: re.Match[str]) -> str:
    over = match[1].strip(), match[2].strip()
    return f" {over[0]}/{over[1]} " if all(map(str.isdigit, over)) else f" {over[0]} over {over[1]} "


def _bounded(match: re.Match[str]) -> str:
    name = {"int": "integral", "sum": "sum", "prod": "product"}[match[1]]
    return f" the {name} from {match[2] or match[3]} to {match[4] or match[5]} of "
