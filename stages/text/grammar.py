"""NeMo's text-processing grammar (Zhang et al. 2021, arXiv:2104.05055), compiled once per user and cached."""

import hashlib
import importlib.resources
import logging
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

ABBREVIATIONS = {
    "Dr.": "doctor", "Drs.": "doctors", "Mr.": "mister", "Mrs.": "missus", "Ms.": "miz", "Prof.": "professor",
    "Rev.": "reverend", "Capt.": "captain", "Col.": "colonel", "Gen.": "general", "Gov.": "governor", "Hon.": "honorable",
    "Lt.": "lieutenant", "Maj.": "major", "Sgt.": "sergeant", "Sen.": "senator", "Jr.": "junior", "Sr.": "senior",
    "Mt.": "mount", "Ft.": "fort", "Ave.": "avenue", "Blvd.": "boulevard", "Rd.": "road", "Bldg.": "building",
    "Apt.": "apartment", "apt.": "apartment", "Dept.": "department", "dept.": "department", "Co.": "company",
    "Inc.": "incorporated", "Ltd.": "limited", "Corp.": "corporation", "Vol.": "volume", "vol.": "volume",
    "St.": "street", "approx.": "approximately", "est.": "estimated", "ext.": "extension", "vs.": "versus", "vs": "versus",
    "etc.": "et cetera", "e.g.": "for example", "eg.": "for example", "i.e.": "that is",
    "w/o": "without", "w/": "with", "c/o": "care of", "tsp.": "teaspoons", "tbsp.": "tablespoons",
}  # fmt: skip
"""Replaces the grammar's own list (`tts.tsv`) of 3 745 harvested 'acronyms' such as Bei → BEI."""


def is_abbreviation(token: str) -> bool:
    return token in ABBREVIATIONS or token.rstrip(",?!;:") in ABBREVIATIONS


_NOT_STATES = {"OK", "IN", "OR", "ME", "HI", "OH", "PA", "MA"}
"""Postal codes that are also words: after a comma, they stay unchanged."""
_AFTER = ("measure/unit", "number/quantity_abbr", "number/thousand", "time/suffix", "time/zone", "date/year_suffix")
_NO_UNITS = {"in", "a"}
"""Units that are mostly words: "3 in the morning" has no inches."""

_BESIDE = re.compile(r"(?:dates?|months|measures?|money|currency|time)\b")


@dataclass(frozen=True)
class Vocabulary:
    """Words, in lower case, that the grammar reads together with an adjacent number; from its own tables."""

    months: frozenset[str]
    """Before and after the number, capitalized."""
    after: frozenset[str]
    """Units, "million", "pm"."""
    streets: frozenset[str]
    """Last words of street names."""
    states: dict[str, str]
    """US states by their postal codes, except codes that are words."""


def load_english() -> tuple[Callable[[str], str], Vocabulary]:
    """The English grammar with our own abbreviations, and its vocabulary."""
    return load_grammar("en", ABBREVIATIONS), _load_vocabulary()


def load_grammar(language: str, abbreviations: Mapping[str, str] | None = None) -> Callable[[str], str]:
    """The compiled grammar of a language; `abbreviations` replace its own if given. Compiling takes about 10 to 60 s,
    so the result is cached per user and versions."""
    from nemo_text_processing.text_normalization.normalize import Normalizer  # type: ignore[import-untyped]

    logging.getLogger("NeMo-text-processing").setLevel(logging.ERROR)
    rows = "".join(f"{written}\t{spoken}\n" for written, spoken in (abbreviations or {}).items())

    def load(folder: Path) -> Normalizer:
        folder.mkdir(exist_ok=True)
        whitelist = folder / "abbreviations.tsv"
        if rows and not whitelist.exists():
            whitelist.write_text(rows, "utf-8")
        own = str(whitelist) if rows else None
        return Normalizer(input_case="cased", lang=language, cache_dir=str(folder), whitelist=own)

    key = hashlib.sha256(f"{version('nemo_text_processing')} {version('pynini')} {rows}".encode()).hexdigest()[:16]
    cache = _cache_folder() / f"grammar-{language}-{key}"
    with FileLock(f"{cache}.lock"):  # one of several workers compiles, and the others wait
        if not cache.exists():  # compiled next to it and renamed: a killed process leaves no partial grammar
            with tempfile.TemporaryDirectory(dir=cache.parent) as building:
                load(Path(building, "new"))
                os.rename(Path(building, "new"), cache)
    normalizer = load(cache)
    return lambda text: str(normalizer.normalize(text))


def words_beside_numbers(language: str) -> frozenset[str]:
    """The words, in lower case, of a grammar's tables of months, units, money and times, which it reads with adjacent
    numbers."""
    package = importlib.resources.files("nemo_text_processing.text_normalization")
    folder = Path(str(package), language, "data")
    tables = [path for path in sorted(folder.rglob("*.tsv")) if _BESIDE.match(str(path.relative_to(folder)))]
    rows = (path.read_text("utf-8").lower().split() for path in tables)
    return frozenset(word for row in rows for word in row if not word.isdigit())


def _load_vocabulary() -> Vocabulary:
    from nemo_text_processing.text_normalization.en.utils import get_abs_path  # type: ignore[import-untyped]

    def rows(
        table: str,
    ) -> list[list[str]]:  # not with its load_labels, for which the inch's " quotes half of the units
        lines = Path(get_abs_path(f"data/{table}.tsv")).read_text(encoding="utf-8").splitlines()
        return [line.split("\t") for line in lines if line]

    def written(*tables: str) -> frozenset[str]:
        labels = (row[0].lower().split() for table in tables for row in rows(table))
        return frozenset(word.rstrip(".") for label in labels for word in label)

    return Vocabulary(
        months=written("date/month_name", "date/month_abbr"),
        after=written(*_AFTER) - _NO_UNITS | {"x"},
        streets=written("address/address_word") | frozenset(row[1].lower() for row in rows("address/address_word")),
        states={code: name for name, code in rows("address/state") if code not in _NOT_STATES},
    )


def _cache_folder() -> Path:
    """`$XDG_CACHE_HOME/salm-duplex`, or a temporary folder if there is no writable home."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for folder in (Path(home, "salm-duplex"), Path(tempfile.gettempdir(), f"salm-duplex-{os.getuid()}")):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if os.access(folder, os.W_OK):
                return folder
    raise OSError(f"The compiled grammar can't be written to {home}; set XDG_CACHE_HOME to a writable folder.")
