import json

import numpy as np
import pytest
from any_record import records, same
from hypothesis import given, settings

from manifests.frames import SOURCE_RATE, TARGET_RATE
from manifests.plain import dump, from_plain, to_plain
from manifests.records import TokenizedDialogue


@given(records)
@settings(max_examples=150, deadline=None)
def test_any_record_comes_back_from_json_unchanged(record):
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
        ({"color": "red"}, "color: Unexpected keyword argument"),
        ({"timeline": None}, "timeline"),
    ],
)
def test_an_invalid_record_is_rejected_naming_the_field(rendered, change, reason):
    plain, kept = to_plain(rendered[0])
    with pytest.raises(ValueError, match=reason):
        from_plain(plain | change, kept)
