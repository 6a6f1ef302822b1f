"""Prices: signs and codes of currencies, magnitudes, ranges, rates."""

import re

from stages.text.english.rewriting import NUMBER, readings

_NAMES = {
    "$": "dollar", "€": "euro", "£": "pound", "¥": "yen", "₹": "rupee", "₩": "won", "₽": "ruble", "₺": "lira", "₫": "dong",
    "₱": "peso", "₦": "naira", "₪": "shekel", "₴": "hryvnia", "฿": "baht", "₿": "bitcoin", "₡": "colon", "₵": "cedi",
    "US$": "US dollar", "C$": "Canadian dollar", "CA$": "Canadian dollar", "A$": "Australian dollar", "AU$": "Australian dollar",
    "NZ$": "New Zealand dollar", "HK$": "Hong Kong dollar", "S$": "Singapore dollar", "R$": "real", "MX$": "Mexican peso",
    "USD": "US dollar", "EUR": "euro", "GBP": "British pound", "JPY": "Japanese yen", "CHF": "Swiss franc", "CAD": "Canadian dollar",
    "AUD": "Australian dollar", "NZD": "New Zealand dollar", "INR": "Indian rupee", "CNY": "Chinese yuan", "RMB": "yuan",
    "SEK": "Swedish krona", "NOK": "Norwegian krone", "DKK": "Danish krone", "PLN": "Polish zloty", "MXN": "Mexican peso",
    "BRL": "Brazilian real", "ZAR": "South African rand", "SGD": "Singapore dollar", "HKD": "Hong Kong dollar",
    "Rs.": "rupee", "Rs": "rupee", "BTC": "bitcoin",
}  # fmt: skip
_PLURALS = {
    "lira",
    "bitcoin",
    "yen",
    "won",
    "baht",
    "yuan",
    "dong",
    "naira",
    "hryvnia",
    "Japanese yen",
    "Chinese yuan",
    "South African rand",
}
_IRREGULAR = {"Swedish krona": "Swedish kronor", "Norwegian krone": "Norwegian kroner", "Danish krone": "Danish kroner"}
_MAGNITUDES = {
    "k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million", "mm": "million", "MM": "million",
    "b": "billion", "B": "billion", "bn": "billion", "t": "trillion", "T": "trillion", "tn": "trillion",
    "thousand": "thousand", "million": "million", "billion": "billion", "trillion": "trillion", "hundred": "hundred",
}  # fmt: skip
PER = {
    "mo": "month", "hr": "hour", "h": "hour", "yr": "year", "y": "year", "wk": "week", "d": "day", "min": "minute", "sec": "second",
    "s": "second", "lb": "pound", "kg": "kilogram", "oz": "ounce", "gal": "gallon", "mi": "mile", "km": "kilometer", "ea": "each",
    "sq ft": "square foot", "sqft": "square foot", "GB": "gigabyte", "L": "liter", "l": "liter", "kWh": "kilowatt hour",
}  # fmt: skip
"""Units after the slash of a rate."""
SIGN = "[$€£¥₹₩₽₺₫₱₦₪₴฿₿₡₵]"
_SIGN = rf"(?:(?:US|CA|C|AU|A|NZ|HK|S|R|MX)\$|{SIGN})"
CODE = "|".join(
    sorted((code for code in _NAMES if code[0].isalpha() and "$" not in code), key=len, reverse=True)
).replace(".", r"\.")
_MAGNITUDE = "|".join(sorted(_MAGNITUDES, key=len, reverse=True))
_CENTS = {"$", "€", "£"}
"""Currencies whose cents the grammar reads."""


def _plural(name: str, number: str) -> str:
    if number == "1" or name in _PLURALS:
        return name
    return _IRREGULAR.get(name, f"{name}s")


def _price(match: re.Match[str]) -> str:
    """A number or range with the sign in front; the grammar reads currencies with cents."""
    sign, number, upper, magnitude = match["sign"], match["number"], match["upper"], match["magnitude"]
    name = _NAMES[sign.strip()]
    if upper and not magnitude and ("." in number or "." in upper) and sign in _CENTS:
        return f"{sign}{number} to {sign}{upper}"
    if not upper and not magnitude and sign in _CENTS:
        return match[0] if number[0] != "." else f"{sign}0{number}"
    amount = f"{number} to {upper}" if upper else number
    words = f" {_MAGNITUDES[magnitude]}" if magnitude else ""
    return f"{amount}{words} {_plural(name, number if not (upper or words) else '')}"


def _price_behind(match: re.Match[str]) -> str:
    magnitude = f" {_MAGNITUDES[match['magnitude']]}" if match["magnitude"] else ""
    if match["sign"] in _CENTS and not magnitude:
        return f"{match['sign']}{match['number']}"
    return f"{match['number']}{magnitude} {_plural(_NAMES[match['sign']], '' if magnitude else match['number'])}"


def _rate(match: re.Match[str]) -> str:
    word = PER.get(match[2], match[2])
    return f"{match[1]} {word}" if word == "each" else f"{match[1]} per {word}"


_BEHIND = "of|and|or|in|at|to|on|for|per|a|an|off|with|from|each|by|now"
"""Words after a price that is not attributive: unlike "a $20 bill", "I owe a $20 and"."""
_FEW = rf"(\b[Aa]n? )({SIGN})(\d[\d,]*)(?: ({_MAGNITUDE}))?(?= (?!(?:{_BEHIND})\b)[a-z])"
_END = r"(?![\w%]|[.,]\d)"
MONEY = readings(
    (rf"(\b[Aa]n? )({SIGN})({NUMBER})-(a|an|per)-(?=[a-z])", lambda m: f"{m[1]}{m[3]} {_NAMES[m[2]]} {m[4]} "),
    (rf"({_SIGN}\s?{NUMBER}\s?(?:{_MAGNITUDE})?)[-–](?={_SIGN}\s?\d)", r"\1 to "),
    (rf"({_SIGN}\s?{NUMBER}\s?(?:{_MAGNITUDE})) [-–] (?={_SIGN}\s?\d)", r"\1 to "),
    (rf"(?<!\w)\+(?={_SIGN}\s?\d)", "plus "),
    (rf"(?<![\w)])-(?={_SIGN}\s?\.?\d)", "minus "),
    (rf"(?<!\w)({_SIGN})\s?-(?=\.?\d)", r"minus \1"),
    (rf"(?<![\w.])((?:{_SIGN}\s?)?{NUMBER})(?=-(?:a|an|per|million|billion|thousand|off)\b)-", r"\1 "),
    (r"(?<=\d)-(?=(?:million|billion|thousand|trillion)\b)", " "),
    (r"(?<=\d) (a|per)-(?=[a-z])", r" \1 "),
    (
        rf"(?<!\w)(?P<sign>{_SIGN})\s?(?P<number>{NUMBER}|\.\d+)(?:\s?[-–]\s?(?P<upper>{NUMBER}))?"
        rf"(?:[ -]?(?P<magnitude>{_MAGNITUDE}))?{_END}",
        _price,
    ),
    (rf"(?<![\w.,])(?P<number>{NUMBER})\s?(?P<magnitude>k|K|M|B|bn|mn)?\s?(?P<sign>{SIGN})(?!\d)", _price_behind),
    (rf"({SIGN}{NUMBER}) (?:USD|US dollars?|EUR|GBP)\b", r"\1"),
    (rf"(?<![\w.,$€£])(?P<number>{NUMBER})\s?(?:(?P<magnitude>{_MAGNITUDE})\s?)?(?P<sign>{CODE})(?![\w$])", _price_behind),
    (
        rf"(?<!\w)(?P<sign>(?:{CODE})\s?)(?P<number>{NUMBER})(?:\s?[-–]\s?(?P<upper>{NUMBER}))?"
        rf"(?:[ -]?(?P<magnitude>{_MAGNITUDE}))?{_END}",
        _price,
    ),
    (rf"((?:{SIGN}{NUMBER}|\d (?:thousand |million |billion )?(?:dollars|euros|pounds|rupees|yen)))\s?/\s?([a-zA-Z]+(?: ft)?)\b", _rate),
    (rf"({SIGN}{NUMBER})\+(?!\w)", r"\1 plus"),
    (rf"(\b[Aa]n? {NUMBER} (?:thousand|million|billion) (?:dollar|euro|pound))s(?= (?!(?:{_BEHIND})\b)[a-z])", r"\1"),
    (_FEW, lambda m: f"{m[1]}{m[3]} {m[4] + ' ' if m[4] else ''}{_NAMES[m[2]]}"),  # a 20 dollar bill
    (r"(?<=\d)\s?¢", " cents"),
)  # fmt: skip
