"""The voices of Kokoro-82M: style vectors, and mixtures of them as further voices.

A style has a vector of 256 numbers for each number of phonemes from 1 to 510. The 510 vectors of a style differ in few
directions, so `styles.npz` holds each style as the product of two small matrices. README.md names their source, and
`python -m stages.voices.kokoro.pack_styles` creates the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from manifests.records import Voice

STYLES = Path(__file__).with_name("styles.npz")
AGENT = "af_heart"
USERS = Path(__file__).with_name("user_voices.txt")
LIKE = "a style such as 'af_heart', or a mixture such as 'af_bella:0.6+am_adam:0.4'"


@dataclass(frozen=True, slots=True)
class Mixture:
    """Styles with weights that sum to 1; a single style has weight 1. Written as `af_bella:0.6+am_adam:0.4`."""

    parts: tuple[tuple[str, float], ...]

    @classmethod
    def parse(cls, text: str) -> "Mixture":
        """Parse the written form; raises `ValueError` with the reason if the text is not a voice."""
        if Voice.parse(text).style or Voice.parse(text).recorded:
            raise ValueError(f"'{text}' is not {LIKE}")
        parts: dict[str, float] = {}
        for part in text.split("+"):
            name, colon, weight = part.partition(":")
            if name not in names():
                raise ValueError(f"Kokoro has no style '{name}'; its styles are {', '.join(names())}")
            try:
                value = float(weight) if colon else 1.0
            except ValueError:
                value = 0.0
            if not 0 < value <= 1 or name in parts:
                raise ValueError(f"'{text}' is not {LIKE}")
            parts[name] = value
        if abs(sum(parts.values()) - 1) > 1e-6:
            raise ValueError(f"the weights of '{text}' sum to {sum(parts.values()):g}, not to 1")
        return cls(tuple(parts.items()))

    @property
    def accent(self) -> str:
        """The accent of the style with the largest weight, as an eSpeak NG voice."""
        name, _ = max(self.parts, key=lambda part: part[1])
        return "en-gb" if name.startswith("b") else "en-us"

    def style(self) -> np.ndarray:
        """The vectors by number of phonemes, float32 (510, 1, 256).

        A weighted mean is closer to the mean of all styles than its parts, so mixtures would sound alike. Its deviation
        from that mean is therefore divided by the root of the sum of squared weights, which keeps the size of the
        deviation for independent parts.
        """
        if len(self.parts) == 1:
            return _styles()[self.parts[0][0]][:, None]
        center = _center()
        deviation = sum(weight * (_styles()[name] - center) for name, weight in self.parts)
        mixed = center + deviation / np.sqrt(sum(weight**2 for _, weight in self.parts))
        return np.asarray(mixed, np.float32)[:, None]


@cache
def names() -> tuple[str, ...]:
    """The names of the styles: `af` and `am` are American women and men, `bf` and `bm` British ones."""
    with np.load(STYLES, allow_pickle=False) as file:
        return tuple(str(name) for name in file["names"])


@cache
def user_voices() -> list[str]:
    """Mixtures that a speaker embedding can distinguish, as measured by tests/benchmarks/kokoro_voices.py."""
    return USERS.read_text("utf-8").split()


@cache
def _styles() -> Mapping[str, np.ndarray]:
    """Each style, float32 (510, 256)."""
    with np.load(STYLES, allow_pickle=False) as file:
        return dict(zip(names(), file["curves"] @ file["directions"], strict=True))


@cache
def _center() -> np.ndarray:
    """The mean of all styles, float32 (510, 256)."""
    center: np.ndarray = np.stack(list(_styles().values())).mean(axis=0)
    return center
