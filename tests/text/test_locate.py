"""Where a pointer leads in raw bytes, against an oracle that writes JSON and notes where it puts what."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from phi3data.findings import pointer
from phi3data.text import locate as module
from phi3data.text.locate import Place, at_column, locate

ROW = '{"messages": [{"role": "user", "content": "Grüße 👋 \\u4f60"}, {"role": "assistant", "content": ""}]}'


def text_at(raw: str, place: Place | None) -> str:
    """Return what stands at a place, by cutting lines; another way than that of the code."""
    assert place is not None
    lines = raw.split("\n")[place.line : place.end_line + 1]
    lines[-1] = lines[-1][: place.end_column - 1]
    lines[0] = lines[0][place.column - 1 :]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("where", "column", "end_column", "found"),
    [
        ("", 1, len(ROW) + 1, ROW),
        ("/messages/0/role", 24, 30, '"user"'),
        ("/messages/0/content", 43, 59, '"Grüße 👋 \\u4f60"'),
        ("/messages/1", 62, 98, '{"role": "assistant", "content": ""}'),
        ("/messages/1/content", 95, 97, '""'),
    ],
)
def test_columns_count_code_points(where: str, column: int, end_column: int, found: str) -> None:
    place = locate(ROW.encode(), where)
    assert place == Place(0, column, 0, end_column)
    assert text_at(ROW, place) == found


def test_a_key_has_a_place_of_its_own() -> None:
    assert text_at(ROW, locate(ROW.encode(), "/messages/1/content", key=True)) == '"content"'
    assert locate(ROW.encode(), "/messages/1", key=True) is None
    assert locate(ROW.encode(), "", key=True) is None


@pytest.mark.parametrize(
    "where", ["/a", "/messages/2", "/messages/00", "/messages/-", "/messages/0/role/x", "messages"]
)
def test_what_is_not_there_has_no_place(where: str) -> None:
    assert locate(ROW.encode(), where) is None


def test_the_nearest_place_is_the_innermost_container_on_the_way() -> None:
    for where in ("/messages/0/name", "/messages/0/name/first"):
        assert text_at(ROW, locate(ROW.encode(), where, nearest=True)).startswith('{"role": "user"')
    assert text_at(ROW, locate(ROW.encode(), "/messages/0/role/x", nearest=True)) == '"user"'
    assert text_at(ROW, locate(ROW.encode(), "/x", nearest=True, key=True)) == ROW


def test_of_equal_keys_the_last_one_counts_or_the_one_asked_for() -> None:
    raw = b'{"a": {"b": 1, "b": 2}, "c": 0, "a": {"b": 3, "\\u0062": 4}, "a": {"c": 5, "b": 6}}'
    assert text_at(raw.decode(), locate(raw, "/a/b")) == "6"
    assert text_at(raw.decode(), locate(raw, "/a", occurrence=1)) == '{"b": 1, "b": 2}'
    assert text_at(raw.decode(), locate(raw, "/a", occurrence=2)) == '{"b": 3, "\\u0062": 4}'
    assert text_at(raw.decode(), locate(raw, "/a", occurrence=2, key=True)) == '"a"'
    assert locate(raw, "/a", occurrence=2, key=True) == Place(0, 33, 0, 36)
    assert locate(raw, "/a", occurrence=4) is None
    assert locate(raw, "/c", occurrence=2) is None
    # The second b of the last a, which has one.
    assert locate(raw, "/a/b", occurrence=2) is None
    assert text_at(raw.decode(), locate(raw, "/a/b", occurrence=1)) == "6"


def test_what_a_later_equal_key_replaces_is_not_found() -> None:
    assert locate(b'{"a": {"b": {"c": 1}}, "a": 2}', "/a/b/c") is None
    assert locate(b'{"a": {"b": {"c": 1}}, "a": {"b": []}}', "/a/b/c") is None
    assert locate(b'{"a": [{"c": 1}], "a": []}', "/a/0") is None


def test_rows_that_span_lines() -> None:
    raw = '{\n  "a": "é",\r\n  "b": [\n\t1,\n\t{"c": "ü👋x"}\n  ]\n}'
    place = locate(raw.encode(), "/b/1/c")
    assert place == Place(4, 8, 4, 13)
    assert text_at(raw, place) == '"ü👋x"'
    assert locate(raw.encode(), "/b") == Place(2, 8, 5, 4)
    assert locate(raw.encode(), "/b/1/c", character=2) == Place(4, 10, 4, 11)


def test_what_stands_before_the_row_counts_on_its_first_line_only() -> None:
    assert locate(b'{"a": 1}', "/a", before=10) == Place(0, 17, 0, 18)
    assert locate(b'{"a":\n1}', "/a", before=10) == Place(1, 1, 1, 2)
    assert locate(b'{"a":\n1}', "", before=10) == Place(0, 11, 1, 3)
    assert at_column(b'{"a":\n1}', 3, before=10) == Place(0, 13, 0, 14)
    assert at_column(b'{"a":\n1}', 7, before=10) == Place(1, 1, 1, 2)


@pytest.mark.parametrize(
    ("column", "line", "at"),
    [(1, 0, 1), (5, 0, 5), (6, 0, 6), (7, 1, 1), (8, 1, 2), (9, 1, 3), (99, 1, 4), (0, 0, 1)],
)
def test_the_column_of_a_parser_in_a_row_of_two_lines(column: int, line: int, at: int) -> None:
    assert at_column('{"é":\n👋1}'.encode(), column) == Place(line, at, line, at + 1)


@pytest.mark.parametrize(
    ("character", "length", "found"),
    [
        (1, 1, "G"),
        (3, 1, "\\u00fc"),
        (4, 1, "ß"),
        (5, 1, "\\n"),
        (6, 1, "\\ud83d\\ude00"),
        (6, 2, "\\ud83d\\ude00\\\\"),
        (7, 1, "\\\\"),
        (8, 1, "\\ud83d"),
        (9, 1, "👋"),
        (10, 1, "\\ude00"),
        (11, 1, '\\"'),
        (11, 9, '\\"'),
        (12, 1, '"'),
    ],
)
def test_characters_inside_a_text(character: int, length: int, found: str) -> None:
    raw = '{"a": ["x", "Gr\\u00fcß\\n\\ud83d\\ude00\\\\\\ud83d👋\\ude00\\""], "b": 1}'
    assert len(json.loads(raw)["a"][1]) == 11
    assert text_at(raw, locate(raw.encode(), "/a/1", character=character, length=length)) == found


def test_characters_that_are_not_there() -> None:
    assert locate(b'{"a": "xy"}', "/a", character=4) is None
    assert locate(b'{"a": "xy"}', "/a", character=0) is None
    assert locate(b'{"a": ["xy"]}', "/a", character=1) is None
    assert locate(b'{"a": 12}', "/a", character=1) is None


def test_keys_with_escapes_and_pointers_with_escapes() -> None:
    raw = '{"a/b": 1, "m~n": 2, "\\u0061\\/\\"": 3, "": 4, "é": 5, "\\ud83d\\ude00": 6, "a\\\\": 7}'
    for number, key in enumerate(["a/b", "m~n", 'a/"', "", "é", "😀", "a\\"], start=1):
        assert text_at(raw, locate(raw.encode(), pointer(key))) == str(number)


def test_a_byte_order_mark_is_a_character_before_the_row() -> None:
    assert locate('\ufeff {"a": 1}'.encode(), "/a") == Place(0, 9, 0, 10)


def test_depth_and_length_have_no_limit() -> None:
    depth = 20_000
    deep = b'{"a":[' * depth + b'"x"' + b"]}" * depth
    place = locate(deep, "/a/0" * depth)
    assert place == Place(0, 6 * depth + 1, 0, 6 * depth + 4)
    assert locate(deep, "/a") == Place(0, 6, 0, len(deep))
    long = b'{"a": "' + b"\\u4e2d" * 200_000 + b"\\n" * 300_000 + b'y", "b": [true, -1.5e3]}'
    assert locate(long, "/b/1") == Place(0, len(long) - 7, 0, len(long) - 1)
    assert locate(long, "/a", character=500_001) == Place(0, 1_800_008, 0, 1_800_009)
    plain = b'{"a": "' + b"x" * 1_000_000 + b'", "b": 1}'
    assert locate(plain, "/b") == Place(0, 1_000_016, 0, 1_000_017)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"a',
        b'{"a"',
        b'{"a":',
        b'{"a": [',
        b'{"a": ["',
        b'{"a": [1',
        b'{"a": [1,]}',
        b"]",
        b'{"a" 1}',
        b"\xff",
    ],
)
def test_what_is_no_json_is_no_mistake(raw: bytes) -> None:
    assert locate(raw, "/a/1") is None
    assert locate(raw, "/a/1/2", nearest=True, character=3) is None or raw == b"\xff"


@given(st.binary(max_size=60), st.sampled_from(["", "/a", "/0", "/a/0/b"]), st.none() | st.integers(-1, 5))
def test_any_bytes_are_no_mistake(raw: bytes, where: str, character: int | None) -> None:
    for nearest in (False, True):
        place = locate(raw, where, character=character, nearest=nearest)
        assert place is None or place.line >= 0 < place.column


# The oracle: a writer that spells a value in a random way and notes where everything went.


class Pairs(list[Any]):
    """An object as its keys and values in order; keys may come twice."""


KEYS = st.sampled_from(["a", "b", "/", "~1", "", "é", "👋", '"', "\\", "0", "1"])
TEXTS = st.text(st.sampled_from('aé👋中"\\\n\x00\u2028/\ud83d\ude00') | st.characters(), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.sampled_from([1.5, -2e30]) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.lists(st.tuples(KEYS, inner), max_size=4).map(Pairs),
    max_leaves=12,
)


class Writer:
    """Writes JSON piece by piece and keeps (start, end) in code points of each value, key and character."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.out = ""
        self.values: dict[tuple[str, ...], tuple[int, int]] = {}
        self.keys: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        self.characters: dict[tuple[str, ...], list[tuple[int, int]]] = {}

    def space(self) -> None:
        self.out += self.draw(st.sampled_from(["", "", "", " ", "\n", "\r\n  ", "\t"]))

    def string(self, text: str) -> list[tuple[int, int]]:
        places = []
        self.out += '"'
        for character in text:
            start = len(self.out)
            must = character in '"\\' or character < " " or "\ud800" <= character <= "\udfff"
            if must or self.draw(st.integers(0, 3)) == 0:
                self.out += json.dumps(character)[1:-1] if ord(character) < 0x80 else ascii_of(character)
            else:
                self.out += character
            places.append((start, len(self.out)))
        self.out += '"'
        return places

    def value(self, value: Any, path: tuple[str, ...]) -> None:
        for known in [known for known in self.values if known[: len(path)] == path]:
            del self.values[known]  # an equal key came before: its value is lost, and all that was in it
            self.characters.pop(known, None)
            if known != path:
                self.keys.pop(known, None)
        start = len(self.out)
        if isinstance(value, Pairs):
            self.members("{", "}", [((*path, key), item) for key, item in value], keyed=True)
        elif isinstance(value, list):
            self.members("[", "]", [((*path, str(at)), item) for at, item in enumerate(value)], keyed=False)
        elif isinstance(value, str):
            self.characters[path] = self.string(value)
        else:
            self.out += json.dumps(value)
        self.values[path] = (start, len(self.out))

    def members(self, opens: str, closes: str, items: list[tuple[tuple[str, ...], Any]], *, keyed: bool) -> None:
        self.out += opens
        self.space()
        for number, (path, item) in enumerate(items):
            if number:
                self.out += ","
                self.space()
            if keyed:
                start = len(self.out)
                self.string(path[-1])
                self.keys.setdefault(path, []).append((start, len(self.out)))
                self.space()
                self.out += ":"
                self.space()
            self.value(item, path)
            self.space()
        self.out += closes


def ascii_of(character: str) -> str:
    return json.dumps(character, ensure_ascii=True)[1:-1]


def place(text: str, start: int, end: int) -> Place:
    head, tail = text[:start].split("\n"), text[:end].split("\n")
    return Place(len(head) - 1, len(head[-1]) + 1, len(tail) - 1, len(tail[-1]) + 1)


def joined(text: str) -> bool:
    """Whether two halves of a surrogate pair stand side by side: written as escapes they are one character."""
    return any("\ud800" <= a <= "\udbff" and "\udc00" <= b <= "\udfff" for a, b in pairwise(text))


@given(VALUES, st.data())
def test_every_value_key_and_character_is_where_it_was_written(value: Any, data: st.DataObject) -> None:
    writer = Writer(data.draw)
    writer.space()
    writer.value(value, ())
    writer.space()
    raw = writer.out.encode()
    for path, (start, end) in writer.values.items():
        where = pointer(*path)
        assert locate(raw, where) == place(writer.out, start, end), where
        assert locate(raw, where, nearest=True) == place(writer.out, start, end)
        if path in writer.keys:
            places = writer.keys[path]
            assert locate(raw, where, key=True) == place(writer.out, *places[-1])
            for number, (key_start, key_end) in enumerate(places, start=1):
                assert locate(raw, where, key=True, occurrence=number) == place(writer.out, key_start, key_end)
            assert locate(raw, where, occurrence=len(places) + 1) is None
        assert locate(raw, where + "/none") is None
        assert locate(raw, where + "/none", nearest=True) == place(writer.out, start, end)
    for path, characters in writer.characters.items():
        text = json.loads(writer.out[slice(*writer.values[path])])
        if len(text) != len(characters):
            assert joined("".join(json.loads(f'"{writer.out[slice(*c)]}"') for c in characters))
            continue
        where = pointer(*path)
        for number, (start, end) in enumerate(characters, start=1):
            assert locate(raw, where, character=number) == place(writer.out, start, end)
        if len(characters) > 1:
            both = locate(raw, where, character=1, length=2)
            assert both == place(writer.out, characters[0][0], characters[1][1])
        assert locate(raw, where, character=len(characters) + 2) is None


@given(VALUES, st.data())
def test_the_place_of_a_pointer_is_that_of_the_value_that_a_parser_finds(value: Any, data: st.DataObject) -> None:
    writer = Writer(data.draw)
    writer.value(value, ())
    parsed = json.loads(writer.out)
    for path in writer.values:
        item = parsed
        for part in path:
            item = item[int(part)] if isinstance(item, list) else item[part]
        found = text_at(writer.out, locate(writer.out.encode(), pointer(*path)))
        assert json.loads(found) == item


UNITS = ["a", "é", "\\n", "\\u4e2d", "\\ud83d\\ude00", "\\uDBFF\\uDFff", "👋", "\\ud83d"]


@given(st.lists(st.sampled_from(UNITS), max_size=300))
@example(["\\uDBFF\\uDFff", "a"])
@example(["a"] * 200 + ["\\n"] * 100)
def test_strides_are_the_same_as_single_steps(units: list[str]) -> None:
    raw = f'"{"".join(units)}"'
    text = json.loads(raw)
    strides = module._strides
    try:
        module._strides = lambda: strides()[-1:]  # type: ignore[assignment]
        slow = [locate(raw.encode(), "", character=at) for at in range(1, len(text) + 2)]
    finally:
        module._strides = strides
    assert [locate(raw.encode(), "", character=at) for at in range(1, len(text) + 2)] == slow
    assert None not in slow
    assert slow[-1] == Place(0, len(raw), 0, len(raw) + 1), "one past the last is the closing quote"
