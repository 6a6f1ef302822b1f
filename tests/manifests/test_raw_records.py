import io
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests import json_text
from manifests.json_records import read_json
from manifests.raw_records import BrokenRecord, read_parquet

RECORDS = [{"id": "a", "data": ["Hi", "Hello"]}, {"id": "b", "data": ["Bye", "So\u2028long"]}]


def read(content: bytes | str) -> list:
    return list(read_json(io.BytesIO(content.encode() if isinstance(content, str) else content)))


def outcomes(content: bytes | str) -> list[str]:
    """Each record's value, or the reason why it has none."""
    return [value.reason if isinstance(value, BrokenRecord) else value for _, value in read(content)]


@pytest.fixture
def small_chunks(monkeypatch):
    """A few bytes need several reads, and a short record is too long."""
    monkeypatch.setattr(json_text, "CHUNK", 16)
    monkeypatch.setattr(json_text, "MAX_RECORD_BYTES", 200)


def test_a_broken_line_is_reported_and_the_rest_is_read():
    lines = [json.dumps(RECORDS[0]), '{"id": "broken', json.dumps(RECORDS[1])]
    found = read("\n".join(lines))
    assert [position for position, _ in found] == [1, 2, 3]
    assert isinstance(found[1][1], BrokenRecord)
    assert "Line 2" in found[1][1].message
    assert found[2][1] == RECORDS[1]


def test_a_broken_first_line_affects_only_itself():
    assert outcomes('{"id": "broken\n\n{"id": 1}\n{"id": 2}') == ["broken_json", {"id": 1}, {"id": 2}]
    assert [position for position, _ in read('{"id": "broken\n\n{"id": 1}')] == [1, 3]


def test_an_object_of_several_lines_is_one_dialogue_or_a_mapping():
    assert outcomes(json.dumps(RECORDS[0], indent=2)) == [RECORDS[0]]
    assert outcomes(json.dumps({r["id"]: {"data": r["data"]} for r in RECORDS}, indent=2)) == RECORDS


def test_bytes_that_are_not_utf8_affect_only_their_record():
    found = read(b'{"id": "a"}\n{"id": "\xff\xfe"}\n{"id": "c"}')
    assert [getattr(value, "reason", value) for _, value in found] == [{"id": "a"}, "not_utf8", {"id": "c"}]
    assert "Line 2" in found[1][1].message
    assert outcomes(b'[{"id": "a"}, {"id": "\xff\xfe"}, {"id": "\xc3\xbc"}]') == [{"id": "a"}, "not_utf8", {"id": "ü"}]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "utf-8-sig", "utf-8"])
def test_any_unicode_encoding_is_read_with_its_mark_or_without(encoding, small_chunks):
    lines = [*RECORDS, {"id": "c", "data": ["Grüezi 🚌", "你好"]}]
    content = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines).encode(encoding)
    assert outcomes(content) == lines
    assert outcomes(json.dumps(lines, indent=1).encode(encoding)) == lines


def test_marks_between_records_are_not_part_of_them():
    lines = [json.dumps(record).encode() for record in RECORDS]
    assert outcomes(b"\n".join(b"\xef\xbb\xbf" + line for line in lines)) == RECORDS
    assert outcomes(b"".join(b"\x1e" + line + b"\n" for line in lines)) == RECORDS
    assert outcomes(b"\xef\xbb\xbf[" + lines[0] + b"]\n\xef\xbb\xbf[" + lines[1] + b"]") == RECORDS


def test_half_a_character_of_utf16_affects_only_its_record():
    content = "\n".join(map(json.dumps, RECORDS)).encode("utf-16")
    assert outcomes(content + b"\0") == [RECORDS[0], "not_utf8"]


def test_a_truncated_array_keeps_the_elements_before_the_cut():
    assert outcomes(json.dumps(RECORDS)[:-20]) == [RECORDS[0], "broken_json"]
    assert outcomes(json.dumps(RECORDS)[:-1]) == [*RECORDS, "broken_json"]


@pytest.mark.parametrize(
    "content",
    ["[1, 2 3]", "[1, 2, ]", "[1, 2}", "[1, 2,, 3]", "[1, 2, nil]", "[1, 2" + ", [" * 9_999],
)
def test_errors_in_an_array_are_reported_at_their_position(content):
    assert outcomes(content) == [1, 2, "broken_json"]


@pytest.mark.parametrize("between", ["", " ", "\n", "\n\n", ",\n", ", ", "\r\n"])
@pytest.mark.parametrize("indent", [None, 1, 4])
def test_concatenated_files_are_all_read(between, indent, small_chunks):
    objects = [json.dumps(record, indent=indent) for record in RECORDS]
    arrays = [json.dumps([record, record], indent=indent) for record in RECORDS]
    assert outcomes(between.join(objects)) == RECORDS
    assert outcomes(between.join(arrays)) == [RECORDS[0], RECORDS[0], RECORDS[1], RECORDS[1]]
    assert outcomes(between.join([*objects, *arrays, *objects]))[-2:] == RECORDS
    positions = [position for position, _ in read(between.join([*objects, *arrays, *objects]))]
    assert positions == sorted(set(positions)) and len(positions) == 8


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    "broken", ['{"id": "b", "data": ["Bye" "So"]}', '{"id": "b"', '{"id": "b",}', '{"id": "b', '{"id": nil}', "b}"]
)
def test_a_broken_element_affects_only_itself(indent, broken):
    """Each record on its own lines: as JSON Lines, in an array, and concatenated over several lines."""
    good = [{"id": n, "data": ["Hi", {"deep": "x"}]} for n in range(4)]
    texts = [json.dumps(record, indent=indent) for record in good]
    assert outcomes("\n".join([*texts[:2], broken, *texts[2:]])) == [*good[:2], "broken_json", *good[2:]]
    array = "[\n" + ",\n".join([*texts[:2], broken, *texts[2:]]) + "\n]\n"
    assert outcomes(array) == [*good[:2], "broken_json", *good[2:]]
    assert outcomes(array + "\n".join(texts)) == [*good[:2], "broken_json", *good[2:], *good]
    inner = "[\n" + ",\n".join(json.dumps(record, indent=2).replace("\n", "\n  ") for record in good) + "\n]"
    assert outcomes(inner.replace('"id": 1', '"id" 1')) == [good[0], "broken_json", *good[2:]]


def test_a_trailing_comma_affects_nothing_after_it():
    assert outcomes('{"id": 1},\n{"id": 2},\n') == [{"id": 1}, {"id": 2}]
    assert outcomes('[{"id": 1},\n{"id": 2},\n]\n{"id": 3}') == [{"id": 1}, {"id": 2}, "broken_json", {"id": 3}]


def test_each_line_with_a_list_is_a_dialogue(small_chunks):
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    lines = [
        json.dumps(talk),
        '[{"role": "user", "content": "Hi"',
        json.dumps(talk[::-1]),
        "[[" + '"human", "Hi"], ["gpt", "Hey"]]',
    ]
    found = read("\n".join(lines))
    assert [position for position, _ in found] == [1, 2, 3, 4]
    assert [getattr(value, "reason", value) for _, value in found] == [
        talk, "broken_json", talk[::-1], [["human", "Hi"], ["gpt", "Hey"]]
    ]  # fmt: skip
    assert outcomes(json.dumps([talk, talk], indent=1)) == [talk, talk]
    assert outcomes(json.dumps(talk, indent=1)) == [talk]


def test_the_true_position_of_a_broken_element_is_named():
    ((_, record), _) = read('{\n "id": 1,\n "data": ["Hi" "Hello"]\n}\n{"id": 2}')
    assert "The object on line 1 is not valid JSON (Expecting ',' delimiter at line 3, column 16)" in record.message
    ((_, record), _) = read('{"id": 1, "data": ["Hi"\n{"id": 2}')
    assert record.message.startswith("Line 1 is not valid JSON")


def test_a_line_break_within_a_string_affects_one_record():
    assert outcomes('{"id": 1}\n{"id": "a\nb\nc"}\n{"id": 2}') == [{"id": 1}, "broken_json", {"id": 2}]


def test_an_object_with_many_dialogues_yields_each():
    found = Counter()
    bare = [{"data": record["data"]} for record in RECORDS]

    def held(value: dict) -> list:
        found.clear()
        return [record for _, record in read_json(io.BytesIO(json.dumps(value).encode()), found)]

    assert held({"data": RECORDS}) == held({"dialogues": RECORDS, "version": "1.0"}) == RECORDS
    assert found == {"version": 1}
    assert held({"train": RECORDS[:1], "test": RECORDS[1:]}) == RECORDS
    assert held({"id": ["a", "b"], "data": [record["data"] for record in RECORDS]}) == RECORDS
    assert held({"id": {"0": "a", "1": "b"}, "data": {"0": RECORDS[0]["data"], "1": RECORDS[1]["data"]}}) == RECORDS
    assert held({"columns": ["data"], "index": [0, 1], "data": [[record["data"]] for record in RECORDS]}) == bare
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    assert held({"conversations": [{"conversations": talk}] * 2}) == [{"conversations": talk}] * 2
    assert held({"dialogues": [talk, talk[::-1]]}) == [talk, talk[::-1]]
    assert held({"data": [{"instruction": "Hi", "output": "Hello"}]}) == [{"instruction": "Hi", "output": "Hello"}]
    for whole in ({"messages": talk}, RECORDS[0], {"type": "x", "data": {"transcript": talk}}, {"dialogue": ["Hi", "Hello"], "speakers": ["A", "B"]},
                  {"instruction": "Hi", "output": "Hey", "history": [["a", "b"]]}, {"data": {"messages": talk}}):  # fmt: skip
        assert held(whole) == [whole] and not found


def test_the_line_of_a_broken_element_is_named():
    ((_, _), (_, record)) = read('[\n{"a":\n1},\n\n{"b" 2}]')
    assert "Record 2, on line 5" in record.message


def test_deep_nesting_and_endless_numbers_are_broken_records():
    assert outcomes("[" * 100_000) == ["broken_json"]
    assert outcomes('{"a": ' * 100_000 + "\n{}") == ["broken_json", {}]
    assert outcomes('{"id": ' + "1" * 5_000 + "}\n{}") == ["broken_json", {}]
    assert outcomes("[{}, " + "1" * 5_000 + "]") == [{}, "broken_json"]


def test_a_record_that_is_too_long_is_reported_and_not_held_in_memory(small_chunks):
    assert outcomes("{}\n" + json.dumps({"id": "x" * 300}) + '\n{"id": 2}\n') == [{}, "too_long", {"id": 2}]
    assert outcomes("[{}, " + json.dumps("x" * 300)) == [{}, "broken_json"]
    assert outcomes(json.dumps({"id": "x" * 300}, indent=2)) == ["too_long"]
    assert outcomes(json.dumps({"id": "x" * 300})) == ["too_long"]


def test_blank_content_has_no_record(small_chunks):
    assert read("") == read("\n\n  \n") == read(" " * 100) == read("[]") == read(" [ ] ") == []
    assert outcomes("{}" + "\n" * 100 + "{}") == outcomes("{}" + " " * 100 + "\n{}") == [{}, {}]


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
        patch.setattr(json_text, "CHUNK", 7)
        assert read(content) == list(enumerate(json.loads(content), 1))


def parquet(table: pa.Table) -> io.BytesIO:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return io.BytesIO(sink.getvalue())


def test_a_damaged_parquet_file_is_a_broken_record():
    content = parquet(pa.Table.from_pylist(RECORDS)).getvalue()
    (*_, (position, record)) = read_parquet(io.BytesIO(content[: len(content) // 2]))
    assert (position, record.reason) == (1, "broken_parquet")


def test_a_parquet_value_that_is_not_utf8_affects_only_its_row():
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


def test_a_key_with_two_values_affects_only_its_record(small_chunks):
    twice, same = (
        '{"id": "a", "data": ["Hi", "Yo"], "data": ["Bye", "So"]}',
        '{"id": "b", "data": ["Hi", "Yo"], "id": "b"}',
    )
    for content in (f"{twice}\n{same}", f"[{twice},\n{same}]", f"{twice} {same}", "{\n" + twice[1:] + "\n" + same):
        (_, broken), (_, whole) = read(content)
        assert (broken.reason, whole) == ("duplicate_key", {"id": "b", "data": ["Hi", "Yo"]}), content
        assert "line 1 has an object with two different values for 'data'" in broken.message
    nested = '[{"role": "user", "content": "Hi"}, {"role": "user", "role": "assistant", "content": "Yo"}]'
    assert outcomes(nested) == ["duplicate_key"]


def test_dialogues_of_one_id_in_one_object_are_reported():
    content = '{"a": {"data": ["Hi", "Yo"]}, "b": {"data": ["Bye", "So"]}, "a": {"data": ["1", "2"]}}'
    *found, (_, broken) = read(content)
    assert [value["id"] for _, value in found] == ["a", "b"] and found[0][1]["data"] == ["1", "2"]
    assert "two different values for 'a'" in broken.message and broken.message.endswith(
        "The last value of each was used."
    )
