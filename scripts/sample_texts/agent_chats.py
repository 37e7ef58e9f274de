"""agent_chats.jsonl: chats of the live support, line by line. Here are the defects of bytes, JSON and roles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scripts.sample_texts.conversations import chat, single_chat
from scripts.sample_texts.records import Record, Row, compact, planted, planted_raw, weave
from scripts.sample_texts.repeats import contradiction, exact, respaced
from scripts.sample_texts.shapes import CHAT, chat_row, damaged, put
from scripts.sample_texts.tool_chats import broken_tool_records, tool_rows

if TYPE_CHECKING:
    from scripts.sample_texts.conversations import Desk

_ROWS = 352

_TEXT_DAMAGE = [
    "invisible only",
    "empty question",
    "null question",
    "mojibake",
    "replacement",
    "bell",
    "escape",
    "zero-width",
    "bidi",
    "your name",
    "truncated",
    "boilerplate",
    "end token",
    "end token",
    "bos",
    "inst",
    "im_start",
    "rendered",
    "image",
    "copied",
    "contact",
    "key",
]


def build(desk: Desk) -> list[Record]:
    """Return the file's records in order."""
    rows = [chat_row(desk.draw(chat)) for _ in range(_ROWS)]
    for row in rows:
        _weigh(desk, row)
    clean = [Record(row=row) for row in rows] + [Record(row=row) for row in tool_rows(desk)]
    desk.rng.shuffle(clean)
    plain = [record for record in clean if is_plain(record)]
    broken = _broken_lines(desk) + _broken_schema(desk) + _broken_turns(desk) + broken_tool_records(desk)
    broken += [damaged(desk, CHAT, name) for name in _TEXT_DAMAGE]
    broken += [exact(plain[0], CHAT), exact(plain[1], CHAT), respaced(plain[2], CHAT), *contradiction(desk, CHAT)]
    woven = weave(desk.rng, clean, broken)
    last = compact(_row(desk, "en"))
    cut = planted_raw(last[: int(len(last) * 0.7)], "J205", "dropped", "the export stopped in the middle of the line")
    return [*woven, cut]


def is_plain(record: Record) -> bool:
    """Tell whether a clean record is one question and its answer, without system prompt and weights."""
    messages = record.row["messages"]
    roles = [message["role"] for message in messages]
    return roles == ["user", "assistant"] and "weight" not in messages[1] and bool(messages[1]["content"])


def _weigh(desk: Desk, row: Row) -> None:
    """Give the answers of some longer chats weights: the first answers 0, the last one 1."""
    answers = [message for message in row["messages"] if message["role"] == "assistant"]
    if len(answers) > 1 and desk.rng.random() < 0.15:
        for answer in answers:
            answer["weight"] = int(answer is answers[-1])


def _row(desk: Desk, language: str | None = None) -> Row:
    return chat_row(desk.draw(single_chat, language))


def _broken_lines(desk: Desk) -> list[Record]:
    """Lines that are not what a JSON Lines reader expects."""
    text = {name: compact(_row(desk)) for name in ("comma", "quote", "twice", "other", "array")}
    key_twice = _row(desk)
    inner_twice = compact(_row(desk)).replace('"role": "user", ', '"role": "user", "content": "", ', 1)
    not_a_number = [_row(desk) | {"topic": float("nan")}, _row(desk) | {"topic": float("nan")}]
    surrogate = _row(desk)
    surrogate["messages"][1]["content"] += " @@"
    tab, feed = (compact(_row(desk, "en")) for _ in range(2))
    depth = 3000
    return [
        planted_raw(text["comma"][:-1] + ",}", "J201", "dropped", "a comma before the closing brace"),
        planted_raw(str(_row(desk)), "J201", "dropped", "a Python literal: single quotes"),
        planted_raw(text["quote"].replace('"topic"', 'topic"'), "J201", "dropped", "a quotation mark is missing"),
        planted_raw("", "J203", "ignored", "an empty line"),
        planted_raw("", "J203", "ignored", "an empty line"),
        planted_raw(text["twice"] + text["other"], "J204", "dropped", "two objects on one line"),
        planted_raw('{"topic": "other", ' + compact(key_twice)[1:], "J206", "dropped", "topic twice", "/topic"),
        planted_raw(inner_twice, "J206", "dropped", "content twice in the first message", "/messages/0/content"),
        *(planted_raw(compact(row), "J207", "dropped", "topic is NaN", "/topic") for row in not_a_number),
        planted_raw(
            compact(surrogate).replace("@@", "\\ud83d"),
            "J208",
            "dropped",
            "half of an emoji: a lone surrogate",
            "/messages/1/content",
        ),
        planted_raw(f'{{"messages": {"[" * depth}{"]" * depth}}}', "J209", "dropped", f"{depth} arrays deep"),
        planted_raw(tab.replace(". ", ".\t", 1), "J210", "dropped", "a raw tab in a string"),
        planted_raw(feed.replace(". ", ".\f", 1), "J210", "dropped", "a raw form feed in a string"),
        planted_raw(f"[{text['array']}]", "J211", "dropped", "an array around the object"),
        planted_raw('"export finished"', "J211", "dropped", "a string, no object"),
        planted_raw(compact(_row(desk, "de")).encode("cp1252"), "F102", "dropped", "cp1252 bytes"),
    ]


def _broken_schema(desk: Desk) -> list[Record]:
    """Objects that are not a chat."""

    def changed(pointer: str, value: object, code: str, note: str, expect: str = "dropped") -> Record:
        row = _row(desk)
        put(row, pointer, value)
        return planted(row, code, expect, note, pointer)

    misspelt = _row(desk)
    misspelt["mesages"] = misspelt.pop("messages")
    no_role = _row(desk)
    del no_role["messages"][0]["role"]
    parts = _row(desk)
    words = parts["messages"][0]["content"]
    parts["messages"][0]["content"] = [{"type": "text", "text": words}]
    weights = [_row(desk), _row(desk)]
    for row, weight in zip(weights, (0.5, "high"), strict=True):
        row["messages"][1]["weight"] = weight
    string = _row(desk)
    string["messages"][1] = string["messages"][1]["content"]
    return [
        changed("/messages", [], "S301", "messages is empty"),
        planted(misspelt, "S301", "dropped", "the key is 'mesages'"),
        planted(string, "S305", "dropped", "the second message is a string", "/messages/1"),
        planted(no_role, "S306", "dropped", "the first message has no role", "/messages/0"),
        changed("/messages/0/role", 1, "S306", "the role is a number"),
        changed("/messages/0/role", "moderator", "S307", "the role is 'moderator'"),
        changed("/messages/1/role", "narrator", "S307", "the role is 'narrator'"),
        changed("/messages/1/content", 42, "S308", "the content is a number"),
        changed("/messages/1/content", {"text": "42"}, "S308", "the content is an object"),
        planted(parts, "S308", "kept", "the content is a list of text parts", "/messages/0/content"),
        *(planted(row, "S310", "dropped", "a weight that is not 0 or 1", "/messages/1/weight") for row in weights),
    ]


def _broken_turns(desk: Desk) -> list[Record]:
    """Chats whose roles come in the wrong order or number."""
    prompts = desk.languages["en"].systems
    system, slip = ({"role": "system", "content": text} for text in (prompts[0], prompts[0].rstrip(".")))
    more = [{"role": "user", "content": text} for text in ("Hello?", "Is anybody there?", "And in winter?")]
    rows = {
        name: _row(desk, "en")
        for name in ("R401", "R402", "R403", "R403 b", "R404", "R405", "R405 b", "R406", "R408", "R409", "R410", "C501")
    }
    turns = {name: row["messages"] for name, row in rows.items()}
    rows["R401"]["messages"] = [system, turns["R401"][0]]
    rows["R402"]["messages"] = [system, turns["R402"][1]]
    turns["R403"].append(more[0])
    turns["R403 b"] += [more[2], {"role": "assistant", "content": "In winter it is just the same."}, more[1]]
    turns["R404"].insert(0, {"role": "assistant", "content": "Welcome to Kaldermoor! How can I help?"})
    turns["R405"].insert(0, {"role": "user", "content": "Good evening, a short question."})
    turns["R405 b"].append({"role": "assistant", "content": "One more thing: the manual is in your account."})
    turns["R406"] += [system, more[2], {"role": "assistant", "content": "In winter it is just the same."}]
    rows["R408"]["messages"] = turns["R408"][:1]
    turns["R409"][1]["weight"] = 0
    turns["R410"].insert(0, slip)
    turns["C501"].insert(0, {"role": "system", "content": ""})
    return [
        planted(rows["R401"], "R401", "dropped", "no assistant turn", "/messages"),
        planted(rows["R402"], "R402", "dropped", "no user turn", "/messages"),
        planted(rows["R403"], "R403", "changed", "a user turn at the end", "/messages/2"),
        planted(rows["R403 b"], "R403", "changed", "a user turn at the end of a longer chat", "/messages/4"),
        planted(rows["R404"], "R404", "kept", "the assistant speaks first", "/messages/0"),
        planted(rows["R405"], "R405", "changed", "two user turns in a row", "/messages/1"),
        planted(rows["R405 b"], "R405", "changed", "two assistant turns in a row", "/messages/2"),
        planted(rows["R406"], "R406", "dropped", "a system message in the middle", "/messages/2"),
        planted(rows["R408"], "R408", "dropped", "a single message", "/messages"),
        planted(rows["R409"], "R409", "dropped", "all weights are 0", "/messages/1/weight"),
        planted(rows["R410"], "R410", "kept", "a common system prompt without its full stop", "/messages/0/content"),
        planted(rows["C501"], "C501", "changed", "an empty system message", "/messages/0/content"),
    ]


def render(records: list[Record], file: str) -> bytes:
    """Return the file: one line a record, no newline after the last, which is cut off. Notes each record's place."""
    lines = []
    for number, record in enumerate(records, 1):
        record.file, record.line, record.number = file, number, number
        lines.append(record.raw if record.raw is not None else json.dumps(record.row, ensure_ascii=False).encode())
    return b"\n".join(lines)
