"""Rows and filters of a list, from the manifest alone."""

import math

import pytest
from listing_material import table

from manifests.corpus import Corpus
from manifests.labels import MOST_VALUES, json_member
from manifests.table import DIALOGUES
from pipeline.report.listing import (
    CHECK,
    CHOICE_COLUMNS,
    MOST_VOICES,
    ROW_COLUMNS,
    Query,
    choices,
    rows_of,
    worst,
)

ROWS = table(
    {
        "id": "Taxi-1",
        "barge_ins": 2,
        "noise": "street",
        "least_heard": 0.7,
        "edge_errors_s": [0.02, -0.3],
        "labels": '{"calm": true, "line": "\\"mobile\\": true", "loss": 0.5}',
    },
    {"id": "taxi-2", "split": "test", "user_voice": "a%2Cb,c", "edge_errors_s": [], "echo_gain": 0.1},
    {
        "id": "(hotel)",
        "user_voice": "ab",
        "labels": '{"calm": false}',
        "least_heard": 0.9,
        "edge_errors_s": [0.1],
        "source": "taxi.jsonl:9",
    },
)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        (Query(), ["Taxi-1", "taxi-2", "(hotel)"]),
        (Query(text="TAXI"), ["Taxi-1", "taxi-2", "(hotel)"]),
        (Query(text="(hotel"), ["(hotel)"]),
        (Query(text="taxi", split="test"), ["taxi-2"]),
        (Query(event="barge_ins"), ["Taxi-1"]),
        (Query(event="noise"), ["Taxi-1"]),
        (Query(event="echo_gain"), ["taxi-2"]),
        (Query(label='"calm": true'), ["Taxi-1"]),
        (Query(label='"mobile": true'), []),
        (Query(label=json_member("line", '"mobile": true'), voice="a"), ["Taxi-1"]),
        (Query(voice="a"), ["Taxi-1"]),
        (Query(voice="a,b"), ["taxi-2"]),
        (Query(voice="z"), ["Taxi-1", "taxi-2", "(hotel)"]),
        (Query(check="least_heard"), ["Taxi-1", "(hotel)"]),
        (Query(check="least_heard", bound=0.8), ["Taxi-1"]),
        (Query(check="edge_errors_s", bound=0.1), ["Taxi-1", "(hotel)"]),
        (Query(check="edge_errors_s", bound=0.2), ["Taxi-1"]),
        (Query(check="user_wers"), []),
    ],
)
def test_a_query_keeps_the_matching_rows(query: Query, ids: list[str]) -> None:
    assert list(ROWS[query.matches(ROWS[query.columns()])]["id"]) == ids


def test_rows_have_a_dialogues_events_voices_and_checks() -> None:
    first, second, third = rows_of(ROWS)
    assert dict(first.events) == {"barge_ins": 2, "noise": 1}
    assert dict(first.checks) == {"least_heard": 0.7, "edge_errors_s": 0.3}
    assert dict(first.labels) == {"calm": True, "line": '"mobile": true', "loss": 0.5} and second.labels == {}
    assert third.facts["labels"] == ['"calm": false']
    assert second.user_voices == ("a,b", "c") and dict(second.events) == {"echo_gain": 1} and not second.checks
    assert third.facts["text"] == "(hotel) taxi.jsonl:9 ab z"


def test_without_values_the_worst_is_nan() -> None:
    values = worst(ROWS["edge_errors_s"], CHECK["edge_errors_s"])
    assert values[0] == 0.3 and math.isnan(values[1])


def test_choices_are_the_values_that_occur() -> None:
    found = choices([ROWS[list(CHOICE_COLUMNS)][:1], ROWS[list(CHOICE_COLUMNS)][1:]])
    assert found.splits == ("train", "test")
    assert found.voices == ("a", "a,b", "ab", "c", "z")
    assert [name for name, _ in found.events] == ["barge_ins", "noise", "echo_gain"]
    assert [title for _, title in found.labels] == ["calm: false", "calm: true", 'line: "mobile": true']
    assert [check.column for check in found.checks] == ["least_heard", "edge_errors_s"]
    many = table(*({"user_voice": f"v{n}"} for n in range(MOST_VOICES + 1)))
    assert choices([many]).voices == ()
    many = table(*({"labels": f'{{"word": "w{n}"}}'} for n in range(MOST_VALUES + 1)))
    assert choices([many[:-1]]).labels and not choices([many]).labels


def test_every_column_is_one_of_the_manifest(small_corpus: Corpus) -> None:
    assert set(ROW_COLUMNS) <= set(DIALOGUES.names)
    rows = rows_of(small_corpus.dialogues.read(*ROW_COLUMNS))
    assert len(rows) == 10 and any(row.events.get("barge_ins") for row in rows)
