import json
from dataclasses import fields, is_dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from manifests.frames import SOURCE_RATE, TARGET_RATE
from manifests.plain import dump, from_plain, to_plain
from manifests.records import Dialogue, DuplexDialogue, Speech, SpokenDialogue, Timeline, TokenizedDialogue

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
}
duplex = st.builds(DuplexDialogue, **channels) | st.builds(TokenizedDialogue, codes=codes, **channels)
records = st.from_type(Dialogue) | spoken_dialogues | timelines | duplex


def same(one, other) -> bool:
    """Whether two values are equal, of one type, and hold equal arrays."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if is_dataclass(one):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or (one != one and other != other)


@given(records)
@settings(max_examples=150, deadline=None)
def test_any_record_comes_back_from_json_as_it_was(record):
    plain, kept = to_plain(record)
    assert same(from_plain(json.loads(json.dumps(plain)), kept), record)


def test_real_records_come_back_and_their_arrays_are_not_copied(timelines, rendered):
    for record in (timelines[1].spoken.dialogue, timelines[1].spoken, timelines[2], rendered[3]):
        plain, kept = to_plain(record)
        again = from_plain(json.loads(json.dumps(plain)), kept)
        assert same(again, record)
        assert not same(again, rendered[0])
    assert again.user is rendered[3].user


def test_audio_is_kept_with_its_rate_and_codes_without_one(rendered):
    rates = {}
    record = TokenizedDialogue.of(rendered[0], np.zeros((3, 4), dtype=np.int16))
    dump(record, lambda array, rate: rates.setdefault(id(array), rate))
    assert rates[id(record.user)] == SOURCE_RATE
    assert rates[id(record.agent)] == TARGET_RATE
    assert rates[id(record.codes)] is None
    assert all(rates[id(speech.samples)] == speech.rate for speech in record.timeline.spoken.speech)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "Path"}, "no record of the type 'Path'"),
        ({"type": None}, "no record of the type None"),
        ({"user": 99}, "user: Value error, there is no array 99"),
        ({"user": -1}, "there is no array -1"),
        ({"colour": "red"}, "colour: Unexpected keyword argument"),
        ({"timeline": None}, "timeline"),
    ],
)
def test_what_is_no_record_is_refused_by_the_field(rendered, change, reason):
    plain, kept = to_plain(rendered[0])
    with pytest.raises(ValueError, match=reason):
        from_plain(plain | change, kept)
