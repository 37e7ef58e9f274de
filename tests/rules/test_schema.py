"""The contract of a chat row: the rules, the typed fast path and the JSON Schema say the same of every row."""

import json
from copy import deepcopy
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from phi3data import targets
from phi3data.chat import ROLES, Conversation
from phi3data.findings import Finding
from phi3data.rules import schema, tools
from phi3data.rules.base import GOOD
from phi3data.rules.typed import Bare, FastPath, Plain
from phi3data.sources.formats import chat as chat_format
from phi3data.text import jsonline

FOUNDRY = targets.target("foundry")
OPENAI = targets.target("openai")
STRICT = [targets.target(name) for name in ("foundry", "openai", "azure-openai")]
FAST = {target.name: FastPath(target) for target in targets.TARGETS.values()}


def is_spelled_as_integer(_: Any, value: Any) -> bool:
    """JSON Schema takes 1.0 for an integer; the contract of a weight does not."""
    return type(value) is int


STRICT_INTEGER = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", is_spelled_as_integer)
Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=STRICT_INTEGER)
ORACLES = {target.name: Validator(schema.contract(target)) for target in targets.TARGETS.values()}


def slow(row: Any, target: targets.TargetProfile) -> list[Finding]:
    return [*schema.check_row(row, target), *tools.shape(row)]


def found(row: Any, target: targets.TargetProfile = FOUNDRY) -> list[tuple[str, str]]:
    return [(item.code, item.pointer) for item in schema.check_row(row, target)]


# ---- rows, valid and broken ----

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['say "hi"', "\\", 'a\\"', '\\"', '"', '": "', '":', "C:\\", 'x":1,"role', "\u2028", "\ufeff", "é", "😀"]
)
names = st.text("aZ0_-", min_size=1, max_size=5) | st.just("n" * 64)
junk = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts | names, inner, max_size=2),
    max_leaves=4,
) | st.sampled_from(
    ["n" * 65, "a b", 1.0, 0.0, True, False, "1", [], {}, "", "assistant", "gpt", "User ", 10**20, -0.0]
)
keys = st.sampled_from(
    [
        *(
            *schema.ROW_KEYS,
            *schema.MESSAGE_KEYS,
            "Messages",
            "mesages",
            "function",
            "type",
            "arguments",
            "id",
            "x",
            "é",
        ),
        *("system", "label", "parallel_tool_calls"),
    ]
)
calls = st.fixed_dictionaries(
    {
        "id": st.text("abc1", min_size=1),
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": names, "arguments": texts | st.just("{}")}),
    }
)
functions = st.fixed_dictionaries(
    {"name": names},
    optional={"description": texts | st.none(), "parameters": st.dictionaries(texts, junk, max_size=2) | st.none()},
)
bare = st.fixed_dictionaries({"role": st.sampled_from(ROLES), "content": texts})
turns = (
    bare
    | st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user"]), "content": texts},
        optional={"name": texts | st.none(), "weight": st.none(), "tools": st.none(), "tool_calls": st.none()},
    )
    | st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": texts},
        optional={"weight": st.sampled_from([0, 1, None]), "name": texts},
    )
    | st.fixed_dictionaries(
        {"role": st.just("assistant"), "tool_calls": st.lists(calls, min_size=1, max_size=2)},
        optional={"content": texts | st.none(), "function_call": st.none(), "weight": st.just(1)},
    )
    | st.fixed_dictionaries(
        {"role": st.just("assistant"), "function_call": calls.map(lambda call: call["function"])},
        optional={"content": texts | st.none()},
    )
    | st.fixed_dictionaries(
        {"role": st.just("tool"), "content": texts, "tool_call_id": texts}, optional={"name": texts}
    )
    | st.fixed_dictionaries({"role": st.just("system"), "content": texts, "tools": texts | st.just("[]")})
)
# Every key with every role, and values at the edge of what is allowed.
loose = st.fixed_dictionaries(
    {"role": st.sampled_from(ROLES)},
    optional={
        "content": texts | st.none(),
        "name": texts | st.none(),
        "weight": st.sampled_from([0, 1, 2, None, 1.0]),
        "tool_calls": st.lists(calls, max_size=1) | st.none(),
        "tool_call_id": texts | st.none(),
        "function_call": calls.map(lambda call: call["function"]) | st.none(),
        "tools": texts | st.none(),
    },
)
tool_lists = (
    st.lists(functions.map(lambda function: {"type": "function", "function": function}), min_size=1, max_size=2)
    | st.none()
)
valid_rows = (
    st.fixed_dictionaries({"messages": st.lists(bare, min_size=1, max_size=4)})
    | st.fixed_dictionaries(
        {"messages": st.lists(turns | loose, min_size=1, max_size=4)},
        optional={"tools": tool_lists, "functions": st.lists(functions, min_size=1, max_size=2) | st.none()},
    )
)  # fmt: skip


def nodes(value: Any) -> list[Any]:
    """Return the objects and lists of a value, itself included."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return ([value] if isinstance(value, dict | list) else []) + [node for item in inner for node in nodes(item)]


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """A valid row, changed at up to two places: set, deleted, renamed, emptied or moved to another object."""
    row: dict[str, Any] = draw(valid_rows)
    for _ in range(draw(st.integers(0, 2))):
        there = nodes(row)
        node = draw(st.sampled_from(there))
        kept = list(node) if isinstance(node, dict) else list(range(len(node)))
        change = draw(st.sampled_from(["set", "add", "delete", "rename", "move", "repeat"]))
        if change == "add" or not kept:
            if isinstance(node, dict):
                node[draw(keys)] = deepcopy(draw(junk))
            else:
                node.append(deepcopy(draw(junk)))
            continue
        key = draw(st.sampled_from(kept))
        if change == "set":
            node[key] = deepcopy(draw(junk))  # one object in two places could come to hold itself
        elif change == "delete":
            del node[key]
        elif change == "rename" and isinstance(node, dict):
            node[draw(keys)] = node.pop(key)
        elif change == "move" and isinstance(node, dict):
            other = draw(st.sampled_from([item for item in there if isinstance(item, dict)]))
            other[key] = json.loads(json.dumps(node[key]))
        elif change == "repeat" and isinstance(node, list):
            node.append(json.loads(json.dumps(node[key])))
    return row


@st.composite
def spelled(draw: st.DrawFn, value: Any, repeat: bool = False) -> tuple[str, bool]:
    """JSON text of a value, in any of its spellings, and whether a key was written twice into one of its objects."""
    space = draw(st.sampled_from(["", "", " ", "\t", "\r"]))
    escaped = draw(st.sampled_from(["", "", '"\\', "role", 'é"']))
    ascii_only = draw(st.booleans())
    place = draw(st.integers(0, 20)) if repeat else -1
    seen = twice = 0

    def string(text: str) -> str:
        inner = "".join(
            f"\\u{ord(char):04x}" if char in escaped else json.dumps(char, ensure_ascii=ascii_only)[1:-1]
            for char in text
        )
        return f'"{inner}"'

    def write(item: Any) -> str:
        nonlocal seen, twice
        if isinstance(item, str):
            return string(item)
        if isinstance(item, list):
            return f"[{space}{f',{space}'.join(map(write, item))}]"
        if not isinstance(item, dict):
            return json.dumps(item)
        pairs = [f"{string(key)}{space}:{space}{write(inner)}" for key, inner in item.items()]
        seen += 1
        if seen - 1 == place and item:
            key = draw(st.sampled_from(list(item)))
            pairs.insert(draw(st.integers(0, len(pairs))), f"{string(key)}{space}:{write(draw(junk))}")
            twice += 1
        return f"{{{f'{space},'.join(pairs)}{space}}}"

    return write(value), bool(twice)


@settings(max_examples=400)
@given(st.data(), rows(), st.sampled_from(STRICT))
def test_the_fast_path_the_rules_and_the_schema_agree(
    data: st.DataObject, row: dict[str, Any], target: targets.TargetProfile
) -> None:
    text, twice = data.draw(spelled(row, repeat=data.draw(st.booleans())))
    raw = text.encode()
    fast = FAST[target.name](raw)
    problems = slow(row, target)
    if twice:
        event("a key twice")
        assert fast is None
    else:
        event("clean" if not problems else "broken")
        assert (fast is not None) == (not problems), problems
    shaped = [problem for problem in problems if problem.code != "S311"]
    assert ORACLES[target.name].is_valid(row) == (not shaped), shaped
    if fast is not None:
        assert msgspec.to_builtins(fast) == msgspec.to_builtins(chat_format.convert(row)[0])
        assert jsonline.decode(raw) == row
        if isinstance(fast, Plain):
            event("plain")
            assert list(tools.check(row)) == []
            assert (fast.tools, fast.label) == (None, None)


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
EDGES: list[Any] = [
    *(None, True, False, 0, 1, 2, 1.0, "", "f", "a b", "n" * 64, "n" * 65, "name\n", "function", *ROLES),
    *("[]", [], {}, [{}], [None], [CALL], CALL, CALL["function"], [CALL["function"]]),
]


def assert_agreed(row: dict[str, Any]) -> None:
    problems = slow(row, OPENAI)
    fast = FAST["openai"](json.dumps(row).encode())
    assert (fast is not None) == (not problems) == ORACLES["openai"].is_valid(row), (row, problems)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("key", schema.MESSAGE_KEYS)
def test_every_key_of_every_role_at_its_edges(role: str, key: str) -> None:
    for value in EDGES:
        assert_agreed({"messages": [{"role": role, key: value}]})
        assert_agreed({"messages": [{"role": role, "content": "Hi", key: value}]})
        assert_agreed({"messages": [{"role": role, "tool_calls": [CALL], key: value}]})


def places(value: Any, *path: Any) -> list[tuple[Any, ...]]:
    """Return the path of everything in a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, *path, key))]


@pytest.mark.parametrize("place", places(json.loads(tools.EXAMPLE))[1:], ids=str)
def test_every_part_of_a_row_with_calls_at_its_edges(place: tuple[Any, ...]) -> None:
    for value in [*EDGES, "gone"]:
        row = node = json.loads(tools.EXAMPLE)
        for key in place[:-1]:
            node = node[key]
        if value == "gone":
            del node[place[-1]]
        else:
            node[place[-1]] = value
        assert_agreed(row)


@settings(max_examples=300)
@given(rows())
def test_a_target_that_keeps_other_keys_reports_misspelt_ones_only(row: dict[str, Any]) -> None:
    target = targets.target("trl")
    problems = slow(row, target)
    assert all(problem.code != "S304" or "did you mean" in problem.message for problem in problems)
    shaped = [problem for problem in problems if problem.code not in {"S304", "S311"}]
    assert ORACLES["trl"].is_valid(row) == (not shaped), shaped
    if FAST["trl"](json.dumps(row).encode()) is not None:
        assert problems == []


@settings(max_examples=300)
@given(rows())
def test_the_plain_validator_differs_in_weights_with_a_fraction_only(row: dict[str, Any]) -> None:
    plain = jsonschema.Draft202012Validator(schema.contract()).is_valid(row)
    strict = Validator(schema.contract()).is_valid(row)
    if plain != strict:
        assert plain
        assert any(type(message.get("weight")) is float for message in row["messages"])


@given(junk.filter(lambda value: isinstance(value, dict)))
def test_any_object_can_be_checked(row: dict[str, Any]) -> None:
    assert (slow(row, OPENAI) == []) == ORACLES["openai"].is_valid(row)
    list(tools.check(row))


@pytest.mark.parametrize("target", targets.TARGETS.values(), ids=lambda target: str(target.name))
def test_the_schema_is_valid_and_takes_its_own_examples(target: targets.TargetProfile) -> None:
    contract = schema.contract(target)
    jsonschema.Draft202012Validator.check_schema(contract)
    for row in contract["examples"]:
        assert slow(row, target) == []
        assert FAST[target.name](json.dumps(row).encode()) is not None
        assert ORACLES[target.name].is_valid(row)


def test_everything_in_the_schema_is_described() -> None:
    contract = schema.contract()
    assert contract["title"]
    assert contract["description"]
    assert set(contract["properties"]) == set(schema.ROW_KEYS)
    assert set(contract["$defs"]["message"]["properties"]) == set(schema.MESSAGE_KEYS)
    assert all(value.get("description") for value in contract["properties"].values())


# ---- what each rule says ----


def message(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Hi", **fields}, {"role": "assistant", "content": "Hello!"}]}


WRONG: list[tuple[dict[str, Any], str, str, str]] = [
    ({}, "S301", "", "the row has no 'messages'"),
    ({"messages": None}, "S301", "/messages", "'messages' is null, expected a list of messages"),
    ({"messages": "[]"}, "S301", "/messages", "'messages' is text, expected a list of messages"),
    ({"messages": []}, "S301", "/messages", "'messages' is an empty list, expected a list of messages"),
    ({"Messages": [1]}, "S301", "", "the row has no 'messages': is it under 'Messages'?"),
    (message() | {"tool": []}, "S304", "/tool", "unknown key 'tool'; did you mean 'tools'?"),
    (message() | {"topic": "x"}, "S304", "/topic", "unknown key 'topic': Microsoft Foundry drops the column"),
    (message() | {"a/b": 1}, "S304", "/a~1b", "unknown key 'a/b': Microsoft Foundry drops the column"),
    (message() | {"system": ""}, "S304", "/system", "unknown key 'system': make it the first message, of role system"),
    ({"messages": ["Hi"]}, "S305", "/messages/0", "expected a message object, found text"),
    ({"messages": [{"content": "Hi"}]}, "S306", "/messages/0", "the message has no 'role'"),
    (message(role=1), "S306", "/messages/0/role", "the role is a number, expected text"),
    (message(role="human"), "S307", "/messages/0/role", "role 'human' is 'user' in chat data"),
    (message(role="User "), "S307", "/messages/0/role", "role 'User ' is 'user' in chat data"),
    (message(role="developer"), "S307", "/messages/0/role", "role 'developer' is 'system' in chat data"),
    (message(role="usr"), "S307", "/messages/0/role", "unknown role 'usr'; did you mean 'user'?"),
    (message(role="x"), "S307", "/messages/0/role", "unknown role 'x': expected system, user, assistant or tool"),
    (message(content=None), "S308", "/messages/0/content", "the content is null, expected text"),
    (message(content=4.5), "S308", "/messages/0/content", "the content is a number, expected text: put it in quotes"),
    (message(content=[]), "S308", "/messages/0/content", "the content is a list, expected text: join its parts"),
    (message(content={}), "S308", "/messages/0/content", "the content is an object, expected text"),
    ({"messages": [{"role": "user"}]}, "S308", "/messages/0", "the message has no 'content'"),
    (message(weigth=1), "S309", "/messages/0/weigth", "unknown message key 'weigth'; did you mean 'weight'?"),
    (message(lang="en"), "S309", "/messages/0/lang", "unknown message key 'lang': remove it"),
    (message(tools=""), "S309", "/messages/0/tools", "'tools' is for system messages, not for user: remove it"),
    (message(name=7), "S309", "/messages/0/name", "the name is a number, expected text"),
    (message(weight=1), "S310", "/messages/0/weight", "a weight is for assistant messages, not for user: remove it"),
    (message(weight=True), "S310", "/messages/0/weight", "the weight is a boolean, expected 0 or 1"),
    (message(weight="1"), "S310", "/messages/0/weight", "the weight is text, expected 0 or 1"),
    (message(weight=1.0), "S310", "/messages/0/weight", "the weight is 1.0, expected 0 or 1"),
    (message(weight=0.5), "S310", "/messages/0/weight", "the weight is 0.5, expected 0 or 1"),
    (message(weight=10**400), "S310", "/messages/0/weight", "the weight is a number, expected 0 or 1"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "code", "at", "said"), WRONG)
def test_what_is_wrong_where_and_what_to_do(row: dict[str, Any], code: str, at: str, said: str) -> None:
    first = next(iter(schema.check_row(row, FOUNDRY)))
    assert (first.code, first.pointer, first.message) == (code, at, said)


def test_every_problem_of_a_row_is_reported() -> None:
    row = {
        "Tools": [],
        "messages": [
            {"role": "gpt", "content": 1, "weight": 2, "x": 0},
            "Hi",
            {"from": "human", "value": "Hi"},
            {"role": "assistant"},
        ],
    }
    assert found(row) == [
        ("S304", "/Tools"),
        ("S307", "/messages/0/role"),
        ("S309", "/messages/0/x"),
        ("S308", "/messages/0/content"),
        ("S310", "/messages/0/weight"),
        ("S305", "/messages/1"),
        ("S306", "/messages/2"),
        ("S309", "/messages/2/from"),
        ("S309", "/messages/2/value"),
        ("S308", "/messages/2"),
        ("S308", "/messages/3"),
    ]


def test_a_row_of_another_format_is_named_once() -> None:
    row = {"instruction": "Hi", "output": "Hello!"}
    (item,) = schema.check_row(row, FOUNDRY, lambda _: "alpaca")
    assert (item.code, item.message) == ("S302", "looks like alpaca: run phi3data convert")
    assert found(row)[0] == ("S301", "")


def test_content_may_be_missing_beside_calls_only() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert found({"messages": [{"role": "assistant", "tool_calls": [call]}]}) == []
    assert found({"messages": [{"role": "assistant", "content": None, "function_call": {}}]}) == []
    assert found({"messages": [{"role": "assistant", "content": None, "tool_calls": []}]}) == [
        ("S308", "/messages/0/content")
    ]
    assert ("S308", "/messages/0") in found({"messages": [{"role": "user", "tool_calls": [call]}]})


def test_a_weight_is_a_matter_of_the_target() -> None:
    row = json.loads(GOOD)
    row["messages"][1]["weight"] = 0
    assert found(row, OPENAI) == []
    assert found(row, FOUNDRY) == [("S311", "/messages/1/weight")]
    raw = json.dumps(row).encode()
    assert FAST["foundry"](raw) is None
    conversation = FAST["openai"](raw)
    assert conversation is not None
    assert conversation.messages[1].weight == 0


def test_keys_and_severities_are_a_matter_of_the_target() -> None:
    assert found(json.loads(GOOD) | {"parallel_tool_calls": False}, OPENAI) == []
    assert found(json.loads(GOOD) | {"parallel_tool_calls": False}) == [("S304", "/parallel_tool_calls")]
    assert OPENAI.severity("S304", "error") == "error"
    assert FOUNDRY.severity("S304", "error") == "warning"
    labelled = FAST["trl"](GOOD.replace('{"messages"', '{"label": 7, "messages"').encode())
    assert labelled is not None
    assert labelled.label == "7"


B = '{"role":"user","content":"b\\\\"}'


# ---- duplicate keys: the proof by counting, at its edges ----


@pytest.mark.parametrize(
    "line",
    [
        '{"messages":[{"role":"user","role":"user","content":"a"}]}',
        '{"messages":[{"role":"user" ,"role"\t:"user","content" :"a"}]}',
        '{"messages":[{"role":"user","content":"a"}],"messages":[{"role":"user","content":"b"}]}',
        '{"messages":[],"messages":[{"role":"user","content":"b"}]}',
        '{"messages":[{"role":"assistant","content":"a\\\\","weight":1,"weight":1},{"role":"user","content":"b\\\\"}]}',
        '{"messages":[{"role":"assistant","content":"a\\\\","weight":1,"weight":1},B,B,B]}'.replace("B", B),
        '{"messages":[{"role":"user","content":"\\u0022\\u0022\\u0022\\u0022","role":"user"}]}',
        '{"messages":[{"role":"user","content":"\\u0022\\u0022","content":"\\u0022"}]}',
        '{"messages":[{"role":"user","rol\\u0065":"user","content":"a"}]}',
        '{"messages":[{"role":"assistant","content":"a","weight":null,"weight":null}]}',
        '{"messages":[{"role":"assistant","function_call":{"name":"f","arguments":"{}","x\\\\":1,"x\\\\":1,"y":1}}]}',
        '{"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"f","name":"f"}}]}',
    ],
)
def test_a_key_that_stands_twice_is_never_accepted(line: str) -> None:
    json.loads(line)
    assert FAST["openai"](line.encode()) is None


@pytest.mark.parametrize(
    "line",
    [
        '{"messages":[{"role":"user","content":"a\\\\","weight":1},{"role":"user","content":"b\\\\"}]}',
        '{"messages":[{"role":"assistant","content":null,"weight":1}]}',
        '{"messages":[{"role":"assistant","name":"Bo"}]}',
    ],
)
def test_as_many_quotation_marks_as_a_clean_row_make_none(line: str) -> None:
    assert slow(json.loads(line), OPENAI)
    assert FAST["openai"](line.encode()) is None


@pytest.mark.parametrize("content", ["\\", 'say "hi"', 'C:\\"', '\\\\"\\', '"', '": "', "\\\\", 'x\\\\":'])
@pytest.mark.parametrize("escape", [str, lambda text: text.replace("\\\\", "\\u005c").replace('\\"', "\\u0022")])
def test_quotes_and_backslashes_do_not_make_a_clean_row_suspicious(content: str, escape: Any) -> None:
    line = f'{{"messages": [{{"role": "user", "content": {escape(json.dumps(content))}}}]}}'
    conversation = FAST["openai"](line.encode())
    assert conversation is not None
    assert conversation.messages[0].content == content


@example(b"")
@example(b"[" * 100_000)
@example(b'{"messages":[{"role":"user","content":"\\ud83d"}]}')
@example(b'{"messages":[{"role":"user","content":"\xff"}]}')
@example(GOOD.encode() * 2)
@example(b"\xef\xbb\xbf" + GOOD.encode())
@given(st.binary(max_size=40))
def test_what_is_no_json_is_not_accepted(raw: bytes) -> None:
    assert FAST["foundry"](raw) is None


def test_most_lines_are_decided_without_a_dict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FastPath, "_whole", None)
    assert type(FAST["foundry"](GOOD.encode())) is Bare
    assert type(FAST["foundry"](GOOD.replace("Hi", 'Say \\"hi\\"').encode())) is Bare


def test_rows_that_rules_about_calls_need_not_look_at_are_marked() -> None:
    def kind(messages: list[dict[str, Any]]) -> type[Any]:
        return type(FAST["openai"](json.dumps({"messages": messages}).encode()))

    assert kind([{"role": "assistant", "content": "Hi", "weight": 1, "name": "Bo"}]) is Plain
    assert kind([{"role": "tool", "content": "Hi"}]) is Conversation
    assert kind([{"role": "assistant", "tool_calls": [CALL]}]) is Conversation
