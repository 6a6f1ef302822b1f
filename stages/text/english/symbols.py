"""How symbols are read, and which are silent."""

import unicodedata

SYMBOLS = {
    "+": "plus", "=": "equals", "@": "at", "%": "percent", "/": "slash", "\\": "backslash", "#": "number", "&": "and",
    "$": "dollars", "€": "euros", "£": "pounds", "¥": "yen", "₹": "rupees", "₩": "won", "¢": "cents", "°": "degrees",
    "×": "times", "÷": "divided by", "±": "plus or minus", "≈": "approximately", "≠": "is not equal to",
    "≤": "is at most", "≥": "is at least", "−": "minus", "√": "the square root of", "∞": "infinity", "→": "to",
    "⇒": "to", "²": "squared", "³": "cubed", "<": "less than", ">": "greater than", "^": "to the power of",
    "§": "section", "‰": "per thousand", "←": "from", "∑": "the sum of", "∆": "delta", "∈": "in", "∉": "not in", "∪": "union", "∩": "intersection",
    "⊂": "subset of", "⊆": "subset of", "∀": "for all", "∃": "there exists", "∂": "partial", "∫": "the integral of",
    "∏": "the product of", "∝": "is proportional to", "⟂": "is perpendicular to", "⊥": "is perpendicular to", "∥": "is parallel to",
    "≡": "is equivalent to", "≅": "is congruent to", "∅": "the empty set", "¬": "not", "∧": "and", "∨": "or", "∠": "angle", "∇": "nabla",
    "∴": "therefore", "∵": "because", "∛": "the cube root of", "₽": "rubles", "₺": "lira", "₫": "dong", "₱": "pesos", "₦": "naira",
    "₪": "shekels", "₴": "hryvnia", "฿": "baht", "₿": "bitcoin", "₡": "colones", "₵": "cedis",
}  # fmt: skip
_ARROWS = range(0x2190, 0x2200)
_BULLETS = "∙⋆⋄"


def is_ornament(char: str) -> bool:
    """Stars, check marks, boxes, notes, arrows and similar symbols, which are not read aloud and carry no meaning."""
    return char not in SYMBOLS and (
        unicodedata.category(char) in ("So", "Sk") or ord(char) in _ARROWS or char in _BULLETS
    )
