"""Chats in which the assistant calls a function, right and wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scripts.sample_texts.material import draw_facts, say
from scripts.sample_texts.records import Record, Row, planted

if TYPE_CHECKING:
    from scripts.sample_texts.conversations import Desk

_TOOL = {
    "type": "function",
    "function": {
        "name": "order_status",
        "description": "Look up where an order is.",
        "parameters": {
            "type": "object",
            "properties": {"order": {"type": "string", "description": "Order number such as KM-12345"}},
            "required": ["order"],
        },
    },
}

# Question and answer of a look-up.
_TEXTS = {
    "en": (
        "[Could you look up|Please check|Can you tell me the status of] order {order}[ for me|, please|]?",
        "[I have looked it up:|Here it is:] {order} [left our warehouse|was packed] on {date} and is due on {date2}.",
    ),
    "de": (
        "Können Sie [bitte |]nachsehen, [wo die Bestellung {order} ist|wie es um die Bestellung {order} steht]?",
        "Die Bestellung {order} [ging am {date} auf die Reise|wurde am {date} gepackt] und kommt am {date2} an.",
    ),
    "ja": (
        "注文{order}の状況を[調べて|確認して]いただけますか。",
        "注文{order}は{date}に[倉庫を出ました|発送しました]。[{date2}に届く予定です。|お届けは{date2}の予定です。]",
    ),
}


def tool_rows(desk: Desk) -> list[Row]:
    """Return the valid chats with tools."""
    return [_tool_row(desk, language) for language in ("en", "en", "en", "en", "en", "de", "de", "de", "ja", "ja")]


def _tool_row(desk: Desk, code: str = "en") -> Row:
    language = desk.languages[code]
    facts = draw_facts(desk.rng, language)
    question, answer = (say(desk.rng, text, facts) for text in _TEXTS[code])
    call_id = f"call_{desk.rng.randrange(16**8):08x}"
    call = {
        "id": call_id,
        "type": "function",
        "function": {"name": "order_status", "arguments": json.dumps({"order": facts["order"]})},
    }
    result = {"order": facts["order"], "sent": facts["date"], "due": facts["date2"]}
    return {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call_id, "content": json.dumps(result, ensure_ascii=False)},
            {"role": "assistant", "content": answer},
        ],
        "topic": "delivery",
        "tools": [_TOOL],
    }


def broken_tool_records(desk: Desk) -> list[Record]:
    """Return the chats in which something about the tools is wrong."""
    rows = [_tool_row(desk) for _ in range(7)]
    called = [row["messages"][1]["tool_calls"][0]["function"] for row in rows]
    rows[0]["tools"] = [{"type": "function", "function": {"description": "A function without a name."}}]
    called[1]["name"] = "cancel_order"
    called[2]["arguments"] = called[2]["arguments"].replace('"', "'")
    called[3]["arguments"] = '{"order": 4711}'
    rows[4]["messages"][2]["tool_call_id"] = "call_of_somebody_else"
    rows[5]["messages"].insert(3, dict(rows[5]["messages"][2]))
    rows[6]["functions"] = [rows[6].pop("tools")[0]["function"]]
    del rows[6]["messages"][1]["tool_calls"]
    rows[6]["messages"][1]["function_call"] = called[6]
    rows[6]["messages"][2] = {
        "role": "function",
        "name": "order_status",
        "content": rows[6]["messages"][2]["content"],
    }
    arguments = "/messages/1/tool_calls/0/function/arguments"
    return [
        planted(rows[0], "G901", "dropped", "a tool without a name", "/tools/0"),
        planted(
            rows[1], "G902", "dropped", "calls a function that is not offered", arguments.replace("arguments", "name")
        ),
        planted(rows[2], "G903", "dropped", "the arguments are a Python literal, not JSON", arguments),
        planted(rows[3], "G904", "dropped", "the order is a number where the schema wants text", arguments),
        planted(rows[4], "G905", "dropped", "a tool result without a call", "/messages/2/tool_call_id"),
        planted(rows[5], "G905", "dropped", "two results for one call", "/messages/3/tool_call_id"),
        planted(rows[6], "G908", "dropped", "legacy functions and function_call", "/functions"),
    ]
