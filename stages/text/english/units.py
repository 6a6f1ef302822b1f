"""Units of measurement after a number."""

import re

from stages.text.english.money import PER
from stages.text.english.rewriting import NUMBER, readings

_UNITS = {
    "km": "kilometer", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer", "μm": "micrometer", "um": "micrometer", "m": "meter",
    "mi": "mile", "ft": "foot", "yd": "yard", "yds": "yard", "in": "inch", "kg": "kilogram", "mg": "milligram", "mcg": "microgram",
    "μg": "microgram", "g": "gram", "lb": "pound", "lbs": "pound", "oz": "ounce", "fl oz": "fluid ounce", "L": "liter", "l": "liter",
    "ml": "milliliter", "mL": "milliliter", "cl": "centiliter", "dl": "deciliter", "gal": "gallon", "qt": "quart", "qts": "quart",
    "pt": "pint", "tbsp": "tablespoon", "Tbsp": "tablespoon", "tbsps": "tablespoon", "tsp": "teaspoon", "tsps": "teaspoon",
    "s": "second", "sec": "second", "secs": "second", "ms": "millisecond", "ns": "nanosecond", "μs": "microsecond",
    "min": "minute", "mins": "minute", "h": "hour", "hr": "hour", "hrs": "hour", "wk": "week", "wks": "week", "mos": "month",
    "yr": "year", "yrs": "year", "pts": "point", "pcs": "piece", "mph": "mile per hour", "kph": "kilometer per hour",
    "kmh": "kilometer per hour", "fps": "frame per second", "rpm": "revolution per minute", "bpm": "beat per minute",
    "mpg": "mile per gallon", "ppm": "part per million", "dpi": "dot per inch", "psi": "pound per square inch",
    "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz", "V": "volt", "mV": "millivolt", "kV": "kilovolt",
    "W": "watt", "kW": "kilowatt", "MW": "megawatt", "GW": "gigawatt", "Wh": "watt hour", "kWh": "kilowatt hour", "MWh": "megawatt hour",
    "mA": "milliamp", "mAh": "milliamp hour", "Ah": "amp hour", "dB": "decibel", "kcal": "kilocalorie", "cal": "calorie", "kJ": "kilojoule",
    "Pa": "pascal", "kPa": "kilopascal", "mmHg": "millimeter of mercury", "KB": "kilobyte", "kB": "kilobyte", "MB": "megabyte",
    "GB": "gigabyte", "TB": "terabyte", "PB": "petabyte", "Kb": "kilobit", "Mb": "megabit", "Gb": "gigabit",
    "kbps": "kilobit per second", "Kbps": "kilobit per second", "Mbps": "megabit per second", "Gbps": "gigabit per second",
    "mg/dL": "milligram per deciliter", "mg/dl": "milligram per deciliter", "ha": "hectare", "mol": "mole", "Ω": "ohm", "kΩ": "kilohm",
    "°C": "degree Celsius", "°F": "degree Fahrenheit", "°": "degree", "sq": "square", "N": "newton", "J": "joule", "hp": "horsepower",
}  # fmt: skip
_LOOSE = {"N", "J", "in", "pt", "sq", "l", "°"} | {unit for unit in _UNITS if len(unit) == 1}
"""Units that are also letters or words: only directly after the number, or as below."""
_SPACED = {"m", "g", "s", "h", "L", "V", "W", "°", "pt"}
"""Of these, the ones that may follow a space."""
_PLURALS = {"foot": "feet", "inch": "inches", "hertz": "hertz", "kilohertz": "kilohertz", "megahertz": "megahertz",
            "gigahertz": "gigahertz", "horsepower": "horsepower"}  # fmt: skip
_AREAS = {"2": "square", "²": "square", "3": "cubic", "³": "cubic"}
_LENGTHS = "km|cm|mm|m|mi|ft|yd|in"
_FUNCTION_WORDS = (
    "of|and|or|in|at|to|from|on|for|per|with|is|are|was|by|if|as|than|but|over|under|above|below|before|after|later|ago"
)


def plural(unit: str) -> str:
    """ "mile per hour" → "miles per hour"."""
    head, *tail = unit.split(" ", 1)
    if tail and not re.match(r"per|of|Celsius|Fahrenheit", tail[0]):  # "watt hour", "square meter"
        return f"{head} {plural(tail[0])}"
    return " ".join([_PLURALS.get(head, f"{head}s"), *tail])


def _unit(match: re.Match[str]) -> str:
    number, gap, unit, power, below = match["number"], match["gap"], match["unit"], match["power"], match["below"]
    year = unit == "s" and not gap and re.fullmatch("[12][0-9][0-9]0", number)
    if year or (gap == " " and unit in _LOOSE - _SPACED):
        return match[0]
    word = f"{_AREAS[power]} {_UNITS[unit]}" if power else _UNITS[unit]
    after = match.string[match.end() :]
    attributive = gap == "-" or (match["article"] and re.match(rf"[ -](?!(?:{_FUNCTION_WORDS})\b)[A-Za-z]", after))
    half = re.search(r"(?<!\d )\b1/$", match.string[: match.start("number")])
    ranged = match.string[: match.start("number")].endswith(" to ")
    if not attributive and (number != "1" or ranged) and not half:
        word = plural(word)
    return f"{match['article'] or ''}{number} {word}" + _per(below) + ("" if attributive else _end(match))


def _end(match: re.Match[str]) -> str:
    """The period of "5 ft." ends the sentence if another one starts after it."""
    if not match["dot"]:
        return ""
    return "." if re.match(r"\s*$|\s+[A-Z]", match.string[match.end() :]) else ""


def _per(below: str | None) -> str:
    if not below:
        return ""
    unit, power = re.fullmatch(r"/\s?([^\d^²³]+)\^?([23²³])?", below).groups()  # type: ignore[union-attr]
    word = _UNITS.get(unit) or PER.get(unit, unit)
    if power and unit == "s":
        return f" per second {'squared' if power in '2²' else 'cubed'}"
    return f" per {_AREAS[power] + ' ' if power else ''}{word}"


def _feet(match: re.Match[str]) -> str:
    """6' is feet, unless the mark closes a quotation."""
    return match[0] if re.search(r"(?<!\w)'", match.string[: match.start()]) else f"{match[1]} feet"


def _inches(match: re.Match[str]) -> str:
    article = re.search(r"\b[Aa]n? $", match.string[: match.start()]) and re.match(
        r"\s[A-Za-z]", match.string[match.end() :]
    )
    return f"{match[1]} inch" + ("" if article or match[1] == "1" else "es")


_UNIT = "|".join(sorted(map(re.escape, _UNITS.keys() - {"sq"}), key=len, reverse=True))
_RATES = "|".join(
    ["day", "week", "month", "year", "hour", "minute", "second", "person", "serving", "night", "mile", *PER]
)
_SEAT = r"(?i:(?<!seat )(?<!gate )(?<!room )(?<!row )(?<!unit )(?<!apartment )(?<!suite )(?<!flat )(?<!apt )(?<!block )(?<!platform ))"
_PLENTY = r"(?=\s+(?:people|[a-z]+s)\b)"
UNIT_POWERS = readings(
    (rf"((?:\d|\d |/)(?:{_LENGTHS}|s))\^\(?([23])\)?(?!\w)", lambda m: m[1] + {"2": "²", "3": "³"}[m[2]]),
)
"""Applied before mathematical powers."""
UNITS = readings(
    (r"(?<=\d)\s?[°º]\s?(?=[CF]\b)|(?<=\d)\s?℃(?!C)", "°"),
    (rf"{_SEAT}(?<![\w.,$-])(\d{{2,3}})([CF])\b(?!-)", r"\1°\2"),
    (r"\b(\d+)h\s?(\d+)\s?m(?:in)?\b(?:\s?(\d+)s\b)?", lambda m: f"{m[1]} {'hour' if m[1] == '1' else 'hours'} {m[2]} minutes" + (f" {m[3]} seconds" if m[3] else "")),
    (r"\b(\d+)m\s?(\d+)s\b", r"\1 minutes \2 seconds"),
    (r"\b(\d)'\s?(\d{1,2})(?:\"|'')?(?!\w)", r"\1 foot \2"),
    (r"(?<=\d) ?pt\b(?= (?:font|type|text|size|bold|Arial|Times))", " point"),
    (r"(?<![\w'])(\d{1,3})'(?=[.,;!?]|$|\s(?:tall|long|wide|high|deep|x|by|thick)\b)", _feet),
    (r"(?<![\w.])(\d+(?:\.\d+)?)\"(?!\w)", _inches),
    (rf"(?<![\w.,])({NUMBER}) ?(sq|cu)\.? ?(km|mi|ft|yd|in|m)\b\.?", lambda m: f"{m[1]} {'square' if m[2] == 'sq' else 'cubic'} " + (plural(_UNITS[m[3]]) if m[1] != "1" else _UNITS[m[3]])),
    (rf"(?<=ft )({NUMBER}) ?in\b\.?|(?<= x )({NUMBER}) ?in\b\.?|(?<=ft)()({NUMBER})in\b", lambda m: f"{next(filter(None, m.groups()))} inches"),
    (rf"(?<![\w.,])({NUMBER}) ?in\b\.?(?= (?:tall|long|wide|high|deep|thick|across|x|by|of rain|of snow|in diameter)\b)", lambda m: f"{m[1]} inches"),
    (rf"(?<![\w.,])({NUMBER}) in\.(?= [a-z])", r"\1 inches"),
    (
        rf"(?P<article>\b[Aa]n? )?(?<![\w.,#])(?<!iPhone )(?P<number>{NUMBER})(?P<gap>[ -]?)(?P<unit>{_UNIT})(?:(?<=km|cm|mm|.m|mi|ft|yd|in)\^?(?P<power>[23²³]))?"
        rf"(?P<below>\s?/\s?(?:{_UNIT}|{_RATES})(?:\^?[23²³])?)?(?![\w/'^-]|\.\w)(?P<dot>(?<!in)\.(?=\s+[a-z]|\s+[A-Z]|$))?",
        _unit,
    ),
    (r"(?<=\d )(\w+s?)/(day|week|month|year|hour|minute|second)\b", r"\1 per \2"),
    (r"(?<![\w/])(km/h|m/s|km/s|mi/h)(?!\w)", lambda m: plural(_UNITS[m[1].split("/")[0]]) + _per("/" + m[1].split("/")[1])),
    (rf"(?<![\w.,$])(\d+\.\d+)\s?[kK]\b|(?<![\w.,$])(\d+)\s?[kK]\b{_PLENTY}|(?<![\w.,$])([2-9]\d|\d{{3}})[kK]\b", lambda m: f"{m[1] or m[2] or m[3]} thousand"),
    (rf"(?<![\w.,$])((?!3M)\d+|\d+\.\d+)\s?M\b|(?<![\w.,$])(\d+)\s?M\b{_PLENTY}", lambda m: f"{m[1] or m[2]} million"),
    (rf"{_SEAT}(?<![\w.,$])(\d+\.\d+|\d+(?= ?B\s+(?:people|param|model|token|users|views)))\s?(?:B|bn)\b", r"\1 billion"),
    (r"(?<![\w.,$])(\d+\.\d+|\d+(?= ?T\s+(?:param|token)))\s?T\b", r"\1 trillion"),
    (r"(?<=[a-z]) x (?=\d)|(?<=\d) ?x ?(?=\d)", " by "),
    (r"(?<![\w.,=+*/(-])(?<![=+*/(-] )(?<!minus )(\d+(?:\.\d+)?)x(?=[.,;!?]|$| (?:faster|slower|more|less|as|bigger|larger|smaller|better|higher|longer|cheaper|the|per|a)\b)", r"\1 times"),
)  # fmt: skip
