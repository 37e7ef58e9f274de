from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.findings import Finding
from phi3data.text.jsonline import decode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("raw", "code", "column"),
    [
        (b"{'a': 1}", "J201", 2),
        (b'{"a": 1,}', "J201", 9),
        (b'{"a": True}', "J201", 7),
        (b"hello", "J201", 1),
        (b'{"a": 1}{"b": 2}', "J204", 9),
        (b'{"a": 1} {"b": 2}', "J204", 10),
        (b'{"a": "x', "J201", 7),
        (b'{"a": 1, "a": 2}', "J206", 10),
        (b'{"m": [{"r": 1, "r": 2}]}', "J206", 17),
        (b'{"question":"a","answer":"x","answer" :"y"}', "J206", 30),
        (b'{"a": ' + b"9" * 5000 + b"}", "J207", None),
        (b'{"a": NaN}', "J207", 7),
        (b'{"a": -Infinity}', "J207", 7),
        (b'{"a": 1e999}', "J207", None),
        (b'{"a": "\\ud800 x"}', "J208", 8),
        (b"[" * 100_000, "J209", None),
        (b'{"a":' * 100_000, "J209", None),
        (b'{"a": "x\x01"}', "J210", 9),
        (b'{"a": "caf\xe9"}', "F102", 11),
        ('{"ü": "\\ud800"}'.encode(), "J208", 8),
    ],
)
def test_a_bad_line_is_a_finding_with_its_code_and_column(raw: bytes, code: str, column: int | None) -> None:
    found = decode(raw)
    assert isinstance(found, Finding)
    assert (found.code, found.column) == (code, column), found


def test_nesting_that_the_parser_reads_is_a_value() -> None:
    raw = b'{"a":' * 600 + b"1" + b"}" * 600
    assert not isinstance(decode(raw), Finding)


def test_a_line_that_stops_is_truncated_only_if_it_is_the_last_one() -> None:
    first, last = decode(b'{"a": "x'), decode(b'{"a": "x', last=True)
    assert isinstance(first, Finding)
    assert isinstance(last, Finding)
    assert (first.code, last.code) == ("J201", "J205")


@pytest.mark.parametrize(
    "raw",
    ['{"a\\":": 1}', '{"a": "b\\":"}', '{"a" : {"a": 1}}', '{"a\\\\": 1}', '{"a": "\\ud83d\\ude00"}', '["\\":\\":"]'],
)
def test_odd_but_valid_lines_are_values(raw: str) -> None:
    assert decode(raw.encode()) == json.loads(raw)


@given(JSON, st.sampled_from([None, 1]), st.booleans())
def test_every_json_value_is_read_as_the_standard_library_reads_it(
    value: object, indent: int | None, ascii_: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_)
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return
    found = decode(raw)
    if isinstance(found, Finding):
        assert found.code in {"J208", "J207"}
        assert "\\ud" in text.lower() or "e" in text.lower()
    else:
        assert found == json.loads(text)


@given(st.binary(max_size=60))
def test_any_bytes_give_a_value_or_a_finding(raw: bytes) -> None:
    decode(raw)


@given(st.dictionaries(st.text(max_size=4), st.integers(), min_size=1, max_size=4), st.data())
def test_a_key_that_stands_twice_is_never_missed(value: dict[str, int], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(value)))
    pairs = [*value.items(), (key, 0)]
    text = "{" + ", ".join(f"{json.dumps(name)}: {number}" for name, number in pairs) + "}"
    found = decode(text.encode("utf-8", "surrogatepass"))
    assert isinstance(found, Finding)
    assert found.code in {"J206", "J208", "F102"}
