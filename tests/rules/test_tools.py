"""Function definitions and calls: what each rule says, and that nothing in the data is fetched or believed."""

import builtins
import json
import socket
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data import targets
from phi3data.rules import references, tools
from phi3data.rules.typed import FastPath
from phi3data.sources.formats.chat import convert

AT = "/messages/1/tool_calls/0"


def row() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(tools.EXAMPLE)
    return found


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the example with one value set, at a pointer."""
    found = node = row()
    *way, last = path.split("/")[1:]
    for key in way:
        node = node[int(key) if isinstance(node, list) else key]
    node[int(last) if isinstance(node, list) else last] = value
    return found


def found(value: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(item.code, item.pointer, item.message) for item in tools.check(value)]


def test_a_row_with_tools_and_a_call_is_clean() -> None:
    assert found(row()) == []
    assert found({"messages": [{"role": "user", "content": "Hi"}]}) == []


@pytest.mark.parametrize(
    ("at", "value", "code", "where", "said"),
    [
        ("/tools", "[]", "G901", "/tools", "expected a list of function definitions, found text: parse the JSON text"),
        (
            "/tools",
            [],
            "G901",
            "/tools",
            "expected a list of function definitions, found an empty list: leave the key out",
        ),
        ("/tools/0", "time", "G901", "/tools/0", "expected a function definition, found text"),
        (
            "/tools/0",
            {"name": "time"},
            "G901",
            "/tools/0",
            'a bare function: wrap it as {"type": "function", "function": {…}}',
        ),
        ("/tools/0/type", "tool", "G901", "/tools/0/type", "the type is another than 'function'"),
        ("/tools/0/function", None, "G901", "/tools/0", "the tool has no 'function' object"),
        ("/tools/0/function", {}, "G901", "/tools/0", "the function has no 'name'"),
        (
            "/tools/0/function/parameters",
            "{}",
            "G901",
            "/tools/0/function/parameters",
            "the parameters are text, expected a JSON Schema object",
        ),
        (
            "/tools/0/function/name",
            "what time",
            "G902",
            "/tools/0/function/name",
            "'what time' is no name of a function: 1 to 64 of A-Z, a-z, 0-9, _ and -",
        ),
        (
            f"{AT}/function/name",
            "tme",
            "G902",
            f"{AT}/function/name",
            "the function 'tme' is not defined; did you mean 'time'?",
        ),
        (
            f"{AT}/function/arguments",
            {},
            "G903",
            f"{AT}/function/arguments",
            "the arguments are an object, expected JSON text",
        ),
        (
            f"{AT}/function/arguments",
            "{'a': 1}",
            "G903",
            f"{AT}/function/arguments",
            "the arguments are not JSON text (single quotes: JSON takes double quotes only)",
        ),
        (f"{AT}/function/arguments", "", "G903", f"{AT}/function/arguments", "the arguments are not JSON text"),
        (
            f"{AT}/function/arguments",
            '"Oslo"',
            "G903",
            f"{AT}/function/arguments",
            "the arguments are JSON, but no object",
        ),
        (f"{AT}/function/arguments", "{}", "G904", f"{AT}/function/arguments", "'time': 'city' is a required property"),
        (
            f"{AT}/function/arguments",
            '{"city": 7}',
            "G904",
            f"{AT}/function/arguments",
            "'time' at /city: 7 is not of type 'string'",
        ),
        (AT, "time()", "G901", AT, "expected a call, found text"),
        (f"{AT}/id", "", "G905", AT, "the call has no id, a text that its result refers to"),
        (
            "/messages/2/tool_call_id",
            "c2",
            "G905",
            "/messages/2/tool_call_id",
            "no call has the id 'c2': expected 'c1'",
        ),
        (
            "/messages/2/tool_call_id",
            None,
            "G905",
            "/messages/2",
            "the result has no 'tool_call_id': which call does it answer?",
        ),
        (
            "/messages/2/tool_call_id",
            7,
            "G905",
            "/messages/2/tool_call_id",
            "the id of the call is a number, expected text",
        ),
        ("/messages/2", {"role": "user", "content": "And?"}, "G905", AT, "the call 'c1' has no result"),
        (
            "/messages/0/tools",
            7,
            "G901",
            "/messages/0/tools",
            "the function definitions of a message are a number, expected JSON text",
        ),
        ("/messages/0/tools", "[", "G901", "/messages/0/tools", "the function definitions are text that is not JSON"),
        ("/functions", [{"name": "f"}], "G908", "/functions", "functions is the older spelling of tools"),
    ],
)
def test_what_is_wrong_where_and_what_to_do(at: str, value: Any, code: str, where: str, said: str) -> None:
    assert (code, where, said) in found(changed(at, value))


def test_results_and_calls_are_matched_in_order() -> None:
    value = row()
    value["messages"].insert(3, value["messages"][2])
    assert found(value) == [("G905", "/messages/3/tool_call_id", "a second result, or a late one, for the call 'c1'")]
    value = row()
    value["messages"] += value["messages"][1:3]
    assert ("G905", "/messages/4/tool_calls/0/id", "the id 'c1' names another call too") in found(value)
    assert found({**row(), "messages": row()["messages"][:2]}) == [], "a row may end with a call"
    value = row()
    value["messages"][1]["tool_calls"].append({**value["messages"][1]["tool_calls"][0], "id": "c2"})
    assert found(value) == [("G905", "/messages/1/tool_calls/1", "the call 'c2' has no result")]
    value["messages"] = value["messages"][:3]
    assert found(value) == [("G905", "/messages/1/tool_calls/1", "the call 'c2' has no result")]


def test_the_older_spelling_is_one_finding_a_place_and_needs_no_ids() -> None:
    call = {"name": "time", "arguments": '{"city": "Oslo"}'}
    value = {
        "functions": [row()["tools"][0]["function"]],
        "messages": [
            {"role": "user", "content": "What time is it?"},
            {"role": "assistant", "content": None, "function_call": call},
            {"role": "function", "name": "time", "content": "14:05"},
            {"role": "assistant", "content": "Five past two."},
        ],
    }
    assert [(code, at) for code, at, _ in found(value)] == [
        ("G908", "/functions"),
        ("G908", "/messages/1/function_call"),
    ]


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({"tools": None}, ["G902"]),
        ({"tools": [{"type": "function", "function": {}}]}, ["G901"]),
        ({"tools": None, "system": "You can call time(city)."}, []),
        ({"tools": None, "listed": json.dumps([json.loads(tools.EXAMPLE)["tools"][0]["function"]])}, []),
    ],
)
def test_where_a_function_may_be_defined(change: dict[str, Any], codes: list[str]) -> None:
    value = {**row(), "tools": change["tools"]}
    if "system" in change:
        value["messages"].insert(0, {"role": "system", "content": change["system"]})
    if "listed" in change:
        value["messages"].insert(0, {"role": "system", "content": "", "tools": change["listed"]})
    assert [code for code, _, _ in found(value)] == codes


def test_without_jsonschema_only_arguments_go_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    value = changed(f"{AT}/function/arguments", "{}")
    real = builtins.__import__

    def missing(name: str, *args: Any) -> Any:
        if name.partition(".")[0] in {"jsonschema", "referencing"}:
            raise ImportError(name)
        return real(name, *args)

    assert references.can_validate()
    references._library.cache_clear()
    try:
        monkeypatch.setattr(builtins, "__import__", missing)
        assert not references.can_validate()
        assert found(value) == []
    finally:
        monkeypatch.undo()
        references._library.cache_clear()
    assert [code for code, _, _ in found(value)] == ["G904"]


@pytest.mark.parametrize(
    ("parameters", "codes"),
    [
        ({"$ref": "http://127.0.0.1:9/schema.json"}, []),
        ({"$ref": "#/nowhere"}, []),
        ({"$ref": "#"}, []),
        ({"type": "city"}, ["G904"]),
        ({"pattern": "("}, ["G904"]),
        ({"properties": {"city": {"pattern": "^[A-Z]"}}}, []),
    ],
)
def test_a_schema_in_the_data_is_neither_fetched_nor_trusted(
    parameters: dict[str, Any], codes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: asked.append(address))
    monkeypatch.setattr(socket, "create_connection", lambda address, *_, **__: asked.append(address))
    assert [code for code, _, _ in found(changed("/tools/0/function/parameters", parameters))] == codes
    assert asked == []


@given(
    st.dictionaries(
        st.sampled_from(["messages", "tools", "functions"]),
        st.lists(
            st.dictionaries(
                st.sampled_from(
                    ["role", "content", "tools", "tool_calls", "tool_call_id", "function_call", "function"]
                ),
                st.none()
                | st.integers()
                | st.sampled_from(["tool", "assistant", "{", "[]"])
                | st.lists(st.none() | st.just({})),
            )
        )
        | st.none()
        | st.text(),
    )
)
def test_no_row_is_too_odd_to_be_checked(value: dict[str, Any]) -> None:
    for item in tools.check(value):
        assert item.pointer.startswith("/")


def test_the_fast_path_gives_what_the_rules_need() -> None:
    conversation = FastPath(targets.target("foundry"))(tools.EXAMPLE.encode())
    assert conversation is not None
    assert conversation == convert(row())[0]
    assert list(tools.check(msgspec.to_builtins(conversation))) == []
    wrong = FastPath(targets.target("foundry"))(json.dumps(changed("/messages/2/tool_call_id", "c2")).encode())
    assert wrong is not None
    assert {item.code for item in tools.check(msgspec.to_builtins(wrong))} == {"G905"}
