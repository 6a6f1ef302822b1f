"""NeMo's text-processing grammar (Zhang et al. 2021, arXiv:2104.05055), compiled once per user and kept."""

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
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
    "etc.": "et cetera", "etc": "et cetera", "e.g.": "for example", "eg.": "for example", "i.e.": "that is",
    "w/o": "without", "w/": "with", "c/o": "care of", "tsp.": "teaspoons", "tbsp.": "tablespoons",
}  # fmt: skip
"""The grammar's own list (`tts.tsv`) holds 3 745 harvested 'acronyms' such as Bei → BEI, so this one takes its place."""
_NOT_STATES = {"OK", "IN", "OR", "ME", "HI", "OH", "PA", "MA"}
"""Postal codes that are words too: after a comma they stay as they are."""


def load_grammar(language: str) -> tuple[Callable[[str], str], dict[str, str]]:
    """The compiled grammar and its US states; compiling takes some 20 s, so it is done once per user and versions."""
    from nemo_text_processing.text_normalization.en.utils import get_abs_path, load_labels  # type: ignore[import-untyped]
    from nemo_text_processing.text_normalization.normalize import Normalizer  # type: ignore[import-untyped]

    logging.getLogger("NeMo-text-processing").setLevel(logging.ERROR)
    rows = "".join(f"{written}\t{spoken}\n" for written, spoken in ABBREVIATIONS.items())

    def load(folder: Path) -> Normalizer:
        whitelist = folder / "abbreviations.tsv"
        if not whitelist.exists():
            folder.mkdir()
            whitelist.write_text(rows)
        return Normalizer(input_case="cased", lang=language, cache_dir=str(folder), whitelist=str(whitelist))

    key = hashlib.sha256(f"{version('nemo_text_processing')} {version('pynini')} {rows}".encode()).hexdigest()[:16]
    cache = _cache_folder() / f"grammar-{language}-{key}"
    with FileLock(f"{cache}.lock"):  # of several workers one compiles and the others wait
        if not cache.exists():  # compiled beside it and renamed: whoever is killed leaves no half of it
            with tempfile.TemporaryDirectory(dir=cache.parent) as building:
                load(Path(building, "new"))
                os.rename(Path(building, "new"), cache)
    normalizer = load(cache)
    rows_of_states = load_labels(get_abs_path("data/address/state.tsv"))
    states = {code: name for name, code in rows_of_states if code not in _NOT_STATES}
    return lambda text: str(normalizer.normalize(text)), states


def _cache_folder() -> Path:
    """`$XDG_CACHE_HOME/salm-duplex`, or the temporary folder where no home can be written."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for folder in (Path(home, "salm-duplex"), Path(tempfile.gettempdir(), f"salm-duplex-{os.getuid()}")):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if os.access(folder, os.W_OK):
                return folder
    raise OSError(f"No folder for the compiled grammar can be written: set XDG_CACHE_HOME (tried {home}).")
