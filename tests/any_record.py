"""Arbitrary records for hypothesis, and whether two are equal."""

from dataclasses import fields, is_dataclass

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from manifests.records import Dialogue, DuplexDialogue, Speech, SpokenDialogue, Timeline, TokenizedDialogue

labels = st.dictionaries(
    st.text("ab_é", min_size=1, max_size=3),
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    max_size=2,
)
others = {field.name: ... for field in fields(Dialogue) if field.name != "labels"}
st.register_type_strategy(Dialogue, st.builds(Dialogue, labels=labels, **others))
audio = arrays.arrays(np.int16, st.integers(0, 50))
codes = arrays.arrays(np.int16, st.tuples(st.integers(0, 20), st.just(4)))
spoken = st.builds(Speech, samples=audio, rate=st.integers(8_000, 48_000))
spoken_dialogues = st.builds(
    SpokenDialogue, speech=st.lists(spoken, max_size=3).map(tuple), reference=st.none() | spoken
)
timelines = st.builds(Timeline, spoken=spoken_dialogues)
channels = {
    "timeline": timelines,
    "user": audio,
    "agent": audio,
    "uncut": st.lists(audio, max_size=3).map(tuple),
    "reference": st.none() | audio,
    "dry": st.none() | audio,
}
duplex = st.builds(DuplexDialogue, **channels) | st.builds(TokenizedDialogue, codes=codes, **channels)
records = st.from_type(Dialogue) | spoken_dialogues | timelines | duplex


def same(one, other) -> bool:
    """Whether two values are equal, of the same type, and contain equal arrays."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if is_dataclass(one):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or (one != one and other != other)
