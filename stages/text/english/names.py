"""Abbreviations that depend on context, initials, numerals of kings and chapters, streets."""

import re

from stages.text.english.rewriting import ordinal, readings

_STREETS = {"St": "Street", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Dr": "Drive", "Ln": "Lane",
            "Ct": "Court", "Pl": "Place", "Hwy": "Highway", "Pkwy": "Parkway"}  # fmt: skip
_BEFORE_NUMBERS = {
    "Fig": "figure", "fig": "figure", "Figs": "figures", "figs": "figures", "p": "page", "P": "page", "pp": "pages", "Ch": "chapter",
    "ch": "chapter", "Chap": "chapter", "chap": "chapter", "Sec": "section", "sec": "section", "Sect": "section", "Eq": "equation",
    "eq": "equation", "Eqs": "equations", "No": "number", "no": "number", "Nos": "numbers", "nos": "numbers", "Nr": "number",
    "Art": "article", "art": "article", "App": "appendix", "Ex": "example", "min": "minimum", "Min": "minimum", "max": "maximum",
    "Max": "maximum", "avg": "average", "Avg": "average", "ca": "about", "c": "about", "Ver": "version", "ver": "version", "Ste": "suite", "ste": "suite",
}  # fmt: skip
_WORDS = {
    "a.m.": "AM", "p.m.": "PM", "a.k.a.": "also known as", "aka": "also known as", "avg.": "average", "incl.": "including", "excl.": "excluding",
    "misc.": "miscellaneous", "temp.": "temperature", "temps.": "temperatures", "min.": "minimum", "max.": "maximum", "hrs.": "hours",
    "hr.": "hour", "mins.": "minutes", "secs.": "seconds", "yrs.": "years", "yr.": "year", "lbs.": "pounds", "oz.": "ounces",
    "qt.": "quart", "pt.": "pint", "gal.": "gallons", "Ave": "Avenue", "Blvd": "Boulevard", "Hwy": "Highway", "Pkwy": "Parkway",
    "WWII": "World War two", "WWI": "World War one", "w/out": "without", "b/c": "because", "Pres.": "President", "Rep.": "Representative",
    "Supt.": "Superintendent", "Assn.": "Association", "Univ.": "University", "cf.": "compare", "viz.": "namely", "et al.": "et al",
    "Tues.": "Tuesday", "Weds.": "Wednesday", "Thurs.": "Thursday", "Mon.": "Monday", "Fri.": "Friday", "Ph.D.": "PhD", "Ph.D": "PhD",
    "Ph.Ds": "PhDs", "M.Sc.": "MSc", "B.Sc.": "BSc", "E.g.": "For example", "I.e.": "That is", "N.B.": "Note well",
    "Jan.": "January", "Feb.": "February", "Aug.": "August", "Sept.": "September", "Oct.": "October", "Nov.": "November", "Dec.": "December",
     "govt.": "government", "Govt.": "government", "mgmt.": "management", "intl.": "international", "tel.": "telephone",
    "Tel.": "telephone", "mfg.": "manufacturing", "orig.": "originally", "wt.": "weight", "ht.": "height",
}  # fmt: skip
_STARTERS = "The|A|An|He|She|It|They|We|I|You|This|That|These|Those|In|On|At|But|And|So|If|When|What|How|Why|My|Our|His|Her|There|For|As|To|From"
"""Words that start a sentence, so that the period before them ends one."""
_LETTERED = "Plan|Option|Vitamin|Grade|Section|Part|Class|Type|Group|Team|Appendix|Figure|Table|Chapter|Step|Room|Gate|Unit|Column|Point"
"""Words followed by letters as numbers: the period after such a letter ends a sentence."""
_REGNAL = (
    "Louis|Henry|Elizabeth|Charles|George|Edward|William|James|Richard|Napoleon|Catherine|Peter|Nicholas|Alexander|Frederick|Philip"
    "|Ferdinand|Leopold|Benedict|Pius|Paul|Leo|Gregory|Innocent|Francis|Ivan|Otto|Ramses|Rameses|Ptolemy|Darius|Xerxes|Mary|Wilhelm|Karl"
    "|Gustav|Christian|Haakon|Harald|Carl|Victoria|Margrethe|Isabella|Alfonso|Juan|Umberto|Mehmed|Murad|Selim|Suleiman|Mithridates|Antiochus"
    "|Thutmose|Amenhotep|Constantine|Justinian|Theodosius|Urban|Clement|Julius|Sixtus|Boniface|Celestine|Stephen|John|Robert|Malcolm|Kenneth"
    "|Rama|Hassan|Abdullah|Mohammed|Rudolf|Maximilian|Joseph|Baldwin|Casimir|Sigismund|Vladislaus|Bela|Matthias|Augustus|Sancho|Pedro|Joao"
)
_TITLES = "King|Queen|Pope|Emperor|Empress|Tsar|Czar|Kaiser|Prince|Sultan|Pharaoh|Saint|Duke"
_PARTS = (
    "Chapter|Part|Act|Scene|Article|Volume|Book|Section|Phase|Type|Class|Episode|Season|Level|Stage|Title|Appendix|War|Mark|Tier|Schedule"
    "|Category|Group|Table|Figure|Step|Bowl|Lesson|Unit|Round|Canto|Vatican|Vol\\.|Ch\\.|Gen|Division|Grade|Apollo"
)
_NUMERAL = r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def _value(numeral: str) -> int:
    values = [_VALUES[char] for char in numeral]
    return sum(-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))


def _valid(numeral: str) -> bool:
    return re.fullmatch(_NUMERAL, numeral) is not None


def _king(match: re.Match[str]) -> str:
    if not _valid(match[2]) or (value := _value(match[2])) > 30:
        return match[0]
    return f"{match[1]} the {ordinal(value)}"


def _part(match: re.Match[str]) -> str:
    return f"{match[1]} {_value(match[2])}" if _valid(match[2]) else match[0]


def _century(match: re.Match[str]) -> str:
    return (
        f"{ordinal(_value(match[1]))} {match[2]}"
        if _valid(match[1]) and match[1] not in ("I", "II", "III")
        else match[0]
    )


def _street(match: re.Match[str]) -> str:
    ends = match[3] and re.match(r"\s*$|\s+[A-Z]", match.string[match.end() :])
    return f"{match[1]}{_STREETS[match[2]]}" + ("." if ends else "")


def _initials(match: re.Match[str]) -> str:
    return match[1].replace(".", "").replace(" ", "")


_WORD = "|".join(sorted(map(re.escape, _WORDS), key=len, reverse=True))

WORDS_TO_READ = "|".join(
    [
        rf"(?<![\w.])(?:{_WORD})(?!\w)",
        r"(?<!slash )\betc\b",
        r"\b[IVXLC]{2,}\b",
        r"\b[A-Z][a-z]+ (?:[VX]\b|I(?: of\b|'s\b))",
        rf"\b(?:{_PARTS}|{_TITLES}) \w* ?[IVXLC]\b",
        r"\b[A-Z]\. [A-Z]",
        r"\b[A-Z][a-z]+ (?:Dr|Rd|Ln|Ct|Pl)\.",
    ]
)
"""Words that are not read as written."""


def _abbreviation(match: re.Match[str]) -> str:
    ends = match[0][-1] == "." and re.match(rf"\s*$|\s+(?:{_STARTERS})\b", match.string[match.end() :])
    return _WORDS[match[0]] + ("." if ends else "")


NAMES = readings(
    (rf"\b({'|'.join(_BEFORE_NUMBERS)})\.\s?(?=\d|[IVX]+\b)", lambda m: f"{_BEFORE_NUMBERS[m[1]]} "),
    (rf"(?<![\w.])(?<!\d )(?:{_WORD})(?!\w)", _abbreviation),
    (rf"\b((?:[A-Z]\.){{2,}})(?='s\b|\s+(?!(?:{_STARTERS})\b)[A-Za-z0-9]|[-,;:?!)])", _initials),
    (r"\b((?:[A-Z]\.)+[A-Z])\.", lambda m: m[1].replace(".", "") + "."),
    (rf"\b([A-Z]\. [A-Z])\. (?=[A-Z][a-z])(?!(?:{_STARTERS})\b)", lambda m: m[1].replace(".", "") + " "),
    (rf"\b((?!(?:{_LETTERED})\b)[A-Z][a-z]+ [A-Z])\. (?=[A-Z][a-z])(?!(?:{_STARTERS})\b)", r"\1 "),
    (r"\b([A-Z][a-z]+ [A-Z] [A-Z][a-z]+) (III?|IV)\b(?!\.[A-Z])", _king),
    (rf"\b((?:{_TITLES}) (?:[A-Z][a-z]+ )?(?!(?:{_PARTS})\b)[A-Z][a-z]+) ([IVX]+)\b(?!\.[A-Z]|'[^s])", _king),
    (rf"\b((?:{_REGNAL})) ([IVX]{{2,}}|V(?!\.\s?[A-Z])|I(?= of\b|'s\b))(?![\w])", _king),
    (rf"\b((?:{_REGNAL}) (?!(?:{_PARTS})\b)[A-Z][a-z]+) (III?|IV)\b(?!\.[A-Z])", _king),  # William Gates III
    (rf"(\d) ?([AaPp])\.[Mm]\.(?=\s+(?:{_STARTERS})\b)", lambda m: f"{m[1]} {m[2].upper()}M."),
    (rf"\b({_PARTS}) ([IVX]|[IVXLC]{{2,}})(?!\w|\.\w|'[^s])", _part),
    (r"\b([XVI]+)(?:th)? ([Cc]entury|[Cc]enturies)\b", _century),
    (r"\b((?!(?:An|The|In|On|At|My|Your|Our|No|Yes|Use|Start|Size|Get)\b)[A-Z]\w*) ((?!XX+\b)[IVX]{2,})(?!\w|\.\w| (?:drip|fluids?|line|bag|therapy)\b)", _part),
    (rf"(\d\S*\s(?:[A-Z0-9]\w*\s){{1,3}})({'|'.join(_STREETS)})\b(\.?)", _street),
    (r"(\d(?:st|nd|rd|th) )(St|Ave|Blvd)\b(\.?)", _street),
    (r"(?<=[a-z] )([A-Z][a-z]+ )(Dr|Rd|Ln|Ct|Pl)\b(\.?)(?!\w|\s+[A-Z])", _street),
    (r"(?<!slash )\betc\b\.?(?=\s+[a-z])|(?<!slash )\betc\b(?!\.)", "et cetera"),
    (r"\bSt\.? (?=[A-Z])", "Saint "),
    (r"\bSt\.", "Street"),
    (r"(\d(?:st|nd|rd|th|ST|ND|RD|TH))-(?=[a-z])", r"\1 "),
)  # fmt: skip
