import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests import raw_records
from manifests.raw_records import BrokenRecord, read_json, read_parquet

RECORDS = [{"id": "a", "data": ["Hi", "Hello"]}, {"id": "b", "data": ["Bye", "So\u2028long"]}]


def read(content: bytes | str) -> list:
    return list(read_json(io.BytesIO(content.encode() if isinstance(content, str) else content)))


def told(content: bytes | str) -> list[str]:
    """The records, each as its value, or the reason why it has none."""
    return [value.reason if isinstance(value, BrokenRecord) else value for _, value in read(content)]


@pytest.fixture
def small_chunks(monkeypatch):
    """So that a few bytes take several readings, and a short record is too long."""
    monkeypatch.setattr(raw_records, "CHUNK", 16)
    monkeypatch.setattr(raw_records, "MAX_RECORD_BYTES", 200)


def test_a_broken_line_is_told_and_the_rest_is_read():
    lines = [json.dumps(RECORDS[0]), '{"id": "broken', json.dumps(RECORDS[1])]
    found = read("\n".join(lines))
    assert [position for position, _ in found] == [1, 2, 3]
    assert isinstance(found[1][1], BrokenRecord)
    assert "Line 2" in found[1][1].message
    assert found[2][1] == RECORDS[1]


def test_a_broken_first_line_costs_itself_alone():
    assert told('{"id": "broken\n\n{"id": 1}\n{"id": 2}') == ["broken_json", {"id": 1}, {"id": 2}]
    assert [position for position, _ in read('{"id": "broken\n\n{"id": 1}')] == [1, 3]


def test_an_object_of_several_lines_is_one_dialogue_or_a_mapping():
    assert told(json.dumps(RECORDS[0], indent=2)) == [RECORDS[0]]
    assert told(json.dumps({r["id"]: {"data": r["data"]} for r in RECORDS}, indent=2)) == RECORDS


def test_bytes_that_are_not_utf8_cost_their_record_alone():
    found = read(b'{"id": "a"}\n{"id": "\xff\xfe"}\n{"id": "c"}')
    assert [getattr(value, "reason", value) for _, value in found] == [{"id": "a"}, "not_utf8", {"id": "c"}]
    assert "Line 2" in found[1][1].message
    assert told(b'[{"id": "a"}, {"id": "\xff\xfe"}, {"id": "\xc3\xbc"}]') == [{"id": "a"}, "not_utf8", {"id": "ü"}]


def test_utf16_is_told_once():
    ((_, record),) = read("\n".join(map(json.dumps, RECORDS)).encode("utf-16"))
    assert "UTF-16" in record.message


def test_an_array_cut_short_keeps_what_stands_before_the_cut():
    assert told(json.dumps(RECORDS)[:-20]) == [RECORDS[0], "broken_json"]
    assert told(json.dumps(RECORDS)[:-1]) == [*RECORDS, "broken_json"]


@pytest.mark.parametrize(
    "content",
    ["[1, 2] 3", "[1, 2]\n[3]", "[1, 2 3]", "[1, 2, ]", "[1, 2}", "[1, 2,, 3]", "[1, 2, nil]", "[1, 2" + ", [" * 9_999],
)
def test_what_is_wrong_in_an_array_is_told_in_its_place(content):
    assert told(content) == [1, 2, "broken_json"]


def test_the_line_of_a_broken_element_is_named():
    ((_, _), (_, record)) = read('[\n{"a":\n1},\n\n{"b" 2}]')
    assert "Record 2, at line 5" in record.message


def test_deep_nesting_and_endless_numbers_are_broken_records():
    assert told("[" * 100_000) == ["broken_json"]
    assert told('{"a": ' * 100_000 + "\n{}") == ["broken_json", {}]
    assert told('{"id": ' + "1" * 5_000 + "}\n{}") == ["broken_json", {}]
    assert told("[{}, " + "1" * 5_000 + "]") == [{}, "broken_json"]


def test_too_long_a_record_is_told_and_not_held(small_chunks):
    assert told("{}\n" + json.dumps({"id": "x" * 300}) + '\n{"id": 2}\n') == [{}, "too_long", {"id": 2}]
    assert told("[{}, " + json.dumps("x" * 300)) == [{}, "broken_json"]
    assert told(json.dumps({"id": "x" * 300}, indent=2)) == ["too_long"]
    assert told(json.dumps({"id": "x" * 300})) == ["too_long"]


def test_blank_content_holds_no_record(small_chunks):
    assert read("") == read("\n\n  \n") == read(" " * 100) == read("[]") == read(" [ ] ") == []
    assert told("{}" + "\n" * 100 + "{}") == told("{}" + " " * 100 + "\n{}") == [{}, {}]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(values, max_size=6), st.booleans(), st.sampled_from([None, 1]))
def test_arrays_are_read_as_json_reads_them_wherever_the_buffer_ends(records, escaped, indent):
    content = json.dumps(records, ensure_ascii=escaped, indent=indent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw_records, "CHUNK", 7)
        assert read(content) == list(enumerate(json.loads(content), 1))


def parquet(table: pa.Table) -> io.BytesIO:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return io.BytesIO(sink.getvalue())


def test_a_damaged_parquet_file_is_a_broken_record():
    content = parquet(pa.Table.from_pylist(RECORDS)).getvalue()
    (*_, (position, record)) = read_parquet(io.BytesIO(content[: len(content) // 2]))
    assert (position, record.reason) == (1, "broken_parquet")


def test_a_parquet_value_that_is_not_utf8_costs_its_row_alone():
    text = pa.array([b"a", b"\xff\xfe", b"c"]).cast(pa.large_binary()).view(pa.large_string())
    found = [getattr(row, "reason", row) for _, row in read_parquet(parquet(pa.table({"id": text})))]
    assert found == [{"id": "a"}, "broken_parquet", {"id": "c"}]


def test_pickled_objects_in_parquet_are_never_opened():
    from ray.data._internal.object_extensions.arrow import ArrowPythonObjectArray

    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle in the input was opened",))

    trap = ArrowPythonObjectArray.from_objects([Trap(), Trap()])
    rows = list(read_parquet(parquet(pa.table({"id": ["a", "b"], "messages": trap}))))
    assert rows == [(1, {"id": "a"}), (2, {"id": "b"})]
