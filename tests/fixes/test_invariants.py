"""What holds for every row, however it is damaged: idempotence, no new errors, no other bytes, no other training."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fixes.examples import EXAMPLES, GOOD_LINE, SYSTEM, line, user
from tests.fixes.linting import linter
from tests.tokens.tiny import write_tiny

from phi3data import encode
from phi3data.chat import Conversation
from phi3data.errors import Phi3kitError
from phi3data.fixes import FIXES, style
from phi3data.fixes.row import fix_row
from phi3data.rules import RULES
from phi3data.sources.formats import chat
from phi3data.sources.formats.base import UnconvertibleError

if TYPE_CHECKING:
    from pathlib import Path

ALL = frozenset(FIXES)
UNSEEN = {"C505", "C506", "C516"}  # safe, though ids of an answer may change: see `phi3data.fixes.words`

PIECES = (
    *("Hi", " ", "\n", "nan", "Grüße", "schÃ¶n", "o\u0308", "\u200b", "\x07", "\x93", "\r\n", "\u2028", "<s>", "</s>"),
    *("<|end|>", "<|user|>", "<|assistant|>", "[INST]", "&amp;", "<p>", "</p>", "nadia.kowalczyk84@gmail.com", "###"),
)
TEXTS = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)
CONTENTS = TEXTS | st.none() | st.integers(0, 9) | st.lists(TEXTS | st.fixed_dictionaries({"text": TEXTS}), max_size=2)
ROLES = st.sampled_from(("system", "user", "assistant", "tool", "human", "gpt", "User ", "narrator"))
CALLS = st.sampled_from(("{}", "{'a': 1}", "", None, {"a": 1}, "no")).map(
    lambda arguments: [{"id": "c1", "type": "function", "function": {"name": "time", "arguments": arguments}}]
)
MESSAGES = st.fixed_dictionaries(
    {"role": ROLES, "content": CONTENTS},
    optional={
        "weight": st.sampled_from((0, 1, True, "1", 1.0, 0.5, None)),
        "lang": st.just("en"),
        "name": st.sampled_from(("Ann", 7)),
        "tool_calls": CALLS,
        "function_call": CALLS.map(lambda calls: calls[0]["function"]),
        "text": TEXTS,
    },
)
ROWS = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGES, max_size=5)},
    optional={
        "system": TEXTS | st.none(),
        "source": st.just(1.50),
        "functions": st.just([{"name": "time"}]),
        "tools": st.just([{"type": "function", "function": {"name": "time"}}]),
        "Messages": st.just([]),
    },
)


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    row = draw(ROWS)
    separators = draw(st.sampled_from(((", ", ": "), (",", ":"))))
    raw = json.dumps(row, ensure_ascii=draw(st.booleans()), separators=separators).encode("utf-8", "surrogatepass")
    damage = draw(st.sampled_from(("", "", "", "twice", "cut", "bom", "control", "latin-1", "nan", "half")))
    match damage:
        case "twice":
            return raw + raw
        case "cut":
            return raw[: draw(st.integers(0, len(raw)))]
        case "bom":
            return b"\xef\xbb\xbf" + raw
        case "control":
            return raw.replace(b"Hi", b"H\x01i")
        case "latin-1":
            return raw.replace(b"Hi", b"H\xfci")
        case "nan":
            return raw.replace(b"null", b"NaN")
        case "half":
            return raw.replace(b"Hi", b"\\ud83d")
    return raw


def errors(raw: bytes) -> set[str]:
    return {finding.code for finding in linter()(raw) if RULES[finding.code].severity == "error"}


@given(lines(), st.booleans())
def test_a_second_run_changes_nothing(raw: bytes, unsafe: bool) -> None:
    for fixed in fix_row(raw, linter(), ALL, unsafe=unsafe).lines:
        again = fix_row(fixed, linter(), ALL, unsafe=unsafe)
        assert (again.lines, again.done) == ((fixed,), ())


@given(lines(), st.sampled_from(sorted(ALL)))
def test_one_code_alone_changes_nothing_the_second_time(raw: bytes, code: str) -> None:
    for fixed in fix_row(raw, linter(), {code}, unsafe=True).lines:
        assert fix_row(fixed, linter(), {code}, unsafe=True).lines == (fixed,)


@given(lines())
def test_a_conversation_that_could_be_read_gets_no_new_error(raw: bytes) -> None:
    if conversation(raw) is None:
        return
    for fixed in fix_row(raw, linter(), ALL, unsafe=True).lines:
        assert errors(fixed) <= errors(raw)


@given(lines())
def test_rows_without_a_change_keep_every_byte(raw: bytes) -> None:
    fixed = fix_row(raw, linter(), ALL, unsafe=True)
    if not fixed.done:
        assert fixed.lines == (raw,)


@given(ROWS, st.sampled_from(((", ", ": "), (",", ":"), (",", ": "))), st.booleans())
def test_what_is_read_is_written_as_it_was(row: dict[str, Any], separators: tuple[str, str], ascii_only: bool) -> None:
    raw = json.dumps(row, ensure_ascii=ascii_only, separators=separators).encode()
    document = style.parse(raw)
    assert document is not None
    assert document.value == json.loads(raw)
    assert document.write(document.value) == raw


def test_only_what_changed_is_spelled_anew() -> None:
    raw = b' {"a":1.50,"b":"\\u00fc\\/","c":[1e5,-0,{}],"d":"\xc3\xbc"}\r'
    document = style.parse(raw)
    assert document is not None
    assert document.write({**document.value, "a": "ß"}) == raw.replace(b"1.50", '"ß"'.encode())
    assert document.write({"a": "ß\u2028\x85"}) == ' {"a":"ß\\u2028\\u0085"}\r'.encode()
    assert style.parse(b'{"a": 1, "a": 2}') is None
    assert style.parse(b'{"a": 1,}') is None
    assert style.parse(b"[" * 5000) is None
    uneven = style.parse(b'{"a":1, "b": [ ]}')
    assert uneven is not None
    assert uneven.write(uneven.value) == b'{"a": 1, "b": []}'


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tokenizer"), "llama")


def conversation(raw: bytes) -> Conversation | None:
    try:
        return chat.convert(json.loads(raw))[0]
    except (ValueError, UnconvertibleError, AttributeError, TypeError):
        return None


def supervised(raw: bytes, tokenizer: Path) -> list[int] | None:
    """Return the ids that are trained on; None where the row cannot be encoded."""
    said = conversation(raw)
    try:
        encoded = encode(said, tokenizer=tokenizer) if said else None
    except Phi3kitError:
        return None
    return [id_ for id_, on in zip(encoded.ids, encoded.mask, strict=True) if on] if encoded else None


def test_safe_fixes_change_no_trained_token(tiny: Path) -> None:
    compared = 0
    for example in EXAMPLES:
        if FIXES[example.code].safe and example.code not in UNSEEN:
            before = supervised(example.fires, tiny)
            fixed = fix_row(example.fires, linter(example.model), {example.code}, unsafe=False).lines
            if before is not None and len(fixed) == 1:
                compared += 1
                assert supervised(fixed[0], tiny) == before
    assert compared >= 10


@given(lines())
def test_safe_fixes_change_no_trained_token_of_any_row(tiny: Path, raw: bytes) -> None:
    before = supervised(raw, tiny)
    fixed = fix_row(raw, linter(), ALL - UNSEEN, unsafe=False).lines
    if before is not None:
        assert [supervised(each, tiny) for each in fixed] == [before]


@given(TEXTS, st.sampled_from(sorted(UNSEEN)))
def test_outside_of_answers_even_what_is_unseen_changes_no_trained_token(tiny: Path, text: str, code: str) -> None:
    raw = user(text)
    (fixed,) = fix_row(raw, linter(), {code}, unsafe=False).lines
    assert supervised(fixed, tiny) == supervised(raw, tiny)


def test_clean_rows_pass() -> None:
    for raw in (GOOD_LINE, line(SYSTEM, *json.loads(GOOD_LINE)["messages"])):
        assert fix_row(raw, linter(), ALL, unsafe=True).lines == (raw,)


def test_what_has_a_meaning_is_left_where_it_is() -> None:
    text = "👨\u200d👩\u200d👧 ❤\ufe0f می\u200cخواهم क्\u200dष ไทย\u200bไทย"
    raw = user(text)
    assert fix_row(raw, linter(), ALL, unsafe=True).lines == (raw,)
