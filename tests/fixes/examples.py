"""One line a fix: what fires, what is written instead (none drops the row), and the model that it is meant for."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from phi3data.rules.base import GOOD

USER = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Hello!"}
SYSTEM = {"role": "system", "content": "Be kind."}
TWICE = {"role": "system", "content": "Be kind.\n\nBe kind."}
_AWS = "AKIA" + "IOSFODNN7" + "EXAMPLE"
_PEM = "-----BEGIN " + "PRIVATE KEY-----"
_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ"
TOOL = {"type": "function", "function": {"name": "time"}}


class Example(NamedTuple):
    code: str
    fires: bytes
    fixed: tuple[bytes, ...]
    model: str | None = None


def line(*messages: dict[str, Any], **columns: Any) -> bytes:
    return json.dumps({"messages": list(messages), **columns}, ensure_ascii=False).encode()


def user(text: str) -> bytes:
    return line({"role": "user", "content": text}, ANSWER)


def answer(text: str) -> bytes:
    return line(USER, {"role": "assistant", "content": text})


def _calls(arguments: Any, **more: Any) -> bytes:
    call = {"id": "c1", "type": "function", "function": {"name": "time", **more, "arguments": arguments}}
    result = {"role": "tool", "tool_call_id": "c1", "content": "14:05"}
    return line(USER, {"role": "assistant", "content": "", "tool_calls": [call]}, result, ANSWER, tools=[TOOL])


GOOD_LINE = GOOD.encode()
RAW = user("Hi\u2028there")

EXAMPLES = (
    Example("F102", user("Grüße").decode().encode("latin-1"), (user("Grüße"),)),
    Example("F102", b'{"a":"\xff\x93\x81"}', ('{"a":"ÿ“\x81"}'.encode(),)),
    Example("F104", b"\xef\xbb\xbf" + GOOD_LINE, (GOOD_LINE,)),
    Example("F107", RAW, (RAW.replace("\u2028".encode(), b"\\u2028"),)),
    Example("J203", b" \t", ()),
    Example("J204", GOOD_LINE + b" " + GOOD_LINE, (GOOD_LINE, GOOD_LINE)),
    Example("J207", GOOD_LINE[:-3] + b',"weight": -Infinity}]}', (GOOD_LINE[:-3] + b',"weight": null}]}',)),
    Example("J208", GOOD_LINE.replace(b"Hi", b"Hi\\ud83d \\\\ud83d"), (GOOD_LINE.replace(b"Hi", b"Hi \\\\ud83d"),)),
    Example("J210", GOOD_LINE.replace(b"Hi", b"H\x01\ti"), (GOOD_LINE.replace(b"Hi", b"H\\u0001\\ti"),)),
    Example("S302", b'{"instruction": "Hi", "output": "Hello!", "id": 7}', (line(USER, ANSWER),)),
    Example("S304", line(USER, ANSWER, source="forum", id=1.50), (line(USER, ANSWER),)),
    Example("S304", line(USER, ANSWER, system="Be kind."), (line(SYSTEM, USER, ANSWER),)),
    Example("S304", line(USER, ANSWER, system=""), (line(USER, ANSWER),)),
    Example("S304", line(USER, ANSWER).replace(b"messages", b"Messages"), (line(USER, ANSWER),)),
    Example("S307", line({**USER, "role": "human"}, {**ANSWER, "role": " GPT"}), (line(USER, ANSWER),)),
    Example("S308", line({"role": "user", "content": [{"type": "text", "text": "H"}, "i"]}, ANSWER), (user("Hi"),)),
    Example("S308", line({"role": "user", "text": "Hi"}, ANSWER), (user("Hi"),)),
    Example("S309", line({**USER, "lang": "en"}, ANSWER), (user("Hi"),)),
    Example("S310", line(USER, {**ANSWER, "weight": True}), (line(USER, {**ANSWER, "weight": 1}),)),
    Example("S310", line(USER, {**ANSWER, "weight": "0"}), (line(USER, {**ANSWER, "weight": 0}),)),
    Example("S310", line({**USER, "weight": True}, ANSWER), (user("Hi"),)),
    Example("R403", line(USER, ANSWER, USER), (line(USER, ANSWER),)),
    Example("R404", line(SYSTEM, ANSWER, USER, ANSWER), (line(SYSTEM, USER, ANSWER),)),
    Example("R405", line(USER, {"role": "user", "content": "there"}, ANSWER), (user("Hi\n\nthere"),)),
    Example("R406", line(USER, SYSTEM, ANSWER), (line(SYSTEM, USER, ANSWER),)),
    Example("R406", line(SYSTEM, SYSTEM, USER, ANSWER), (line(TWICE, USER, ANSWER),)),
    Example("R407", line(SYSTEM, USER, ANSWER), (user("Be kind.\n\nHi"),), "phi-3-medium"),
    Example("C501", answer("\u200b"), ()),
    Example("C501", line({**SYSTEM, "content": " "}, USER, ANSWER), (line(USER, ANSWER),)),
    Example("C502", answer("nan"), ()),
    Example("C502", line({**SYSTEM, "content": "N/A"}, USER, ANSWER), (line(USER, ANSWER),)),
    Example("C503", answer("Danke, schÃ¶n, itâ\x80\x99s"), (answer("Danke, schön, it’s"),)),
    Example("C503", user("РџСЂРёРІРµС‚!"), (user("Привет!"),)),
    Example("C503", answer("Danke, schÃƒÂ¶n."), (answer("Danke, schön."),)),
    Example("C505", answer("\x1b[1mRing\x07!\x1b[0m It\x92s"), (answer("Ring! It’s"),)),
    Example("C506", answer("Press re\u200bset."), (answer("Press reset."),)),
    Example("C513", answer("<p>Yes.</p><p>Rinse &amp; dry.</p>"), (answer("Yes.\n\nRinse & dry."),)),
    Example("C513", answer("Rinse &amp;amp; dry."), (answer("Rinse & dry."),)),
    Example("C516", answer("Scho\u0308n."), (answer("Schön."),)),
    Example("T601", user("What does <|end|> mean?"), (user("What does <| end |> mean?"),)),
    Example("T601", user("<|user|> Hi<|end|>\n"), (user("Hi"),)),
    Example("T601", answer("<|end|>"), (answer("<| end |>"),)),
    Example("T602", user("<s>old</s> new <s>older</s>"), (user("<del>old</del> new <del>older</del>"),)),
    Example("T602", answer("<s>Hello!</s>"), (answer("Hello!"),)),
    Example("T602", user("<s>a</s> and <unk> and </s>"), (user("<del>a</del> and < unk > and"),)),
    Example("T603", user("[INST] Hi [/INST]"), (user("Hi"),)),
    Example("T603", user("Is [INST] a token?"), (user("Is [ INST ] a token?"),)),
    Example(
        "T604",
        user("<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"),
        (line(SYSTEM, USER, ANSWER),),
    ),
    Example("L701", user("word " * 6000), ()),
    Example("G903", _calls({"city": "Oslo"}), (_calls('{"city": "Oslo"}'),)),
    Example("G903", _calls("{'city': None}"), (_calls('{"city": null}'),)),
    Example("G903", _calls('"{\\"city\\": 1}"'), (_calls('{"city": 1}'),)),
    Example("G903", _calls(""), (_calls("{}"),)),
    Example(
        "G907",
        line(SYSTEM, USER, ANSWER, tools=[TOOL]),
        (line({**SYSTEM, "tools": '[{"name": "time"}]'}, USER, ANSWER),),
        "phi-4-mini",
    ),
    Example("G908", line(USER, ANSWER, functions=[{"name": "time"}]), (line(USER, ANSWER, tools=[TOOL]),)),
    Example(
        "G908",
        line(
            USER,
            {"role": "assistant", "content": "", "function_call": {"name": "time", "arguments": "{}"}},
            {"role": "function", "name": "time", "content": "14:05"},
            ANSWER,
            tools=[TOOL],
        ),
        (
            line(
                USER,
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [
                        {"id": "call_1", "type": "function", "function": {"name": "time", "arguments": "{}"}}
                    ],
                },
                {"role": "tool", "name": "time", "content": "14:05", "tool_call_id": "call_1"},
                ANSWER,
                tools=[TOOL],
            ),
        ),
    ),
    Example("P001", user("Write to nadia.kowalczyk84@gmail.com now"), (user("Write to [e-mail address] now"),)),
    Example("P001", user("refund DE89 3704 0044 0532 0130 00"), (user("refund [account number]"),)),
    Example("P002", user(f"key: {_AWS}"), (user("key: [secret]"),)),
    Example("P003", user(f"{_PEM}\n{_BODY}\nAbC=\n\nThanks"), (user("[private key]\n\nThanks"),)),
    Example(
        "P003",
        user(f"{_PEM}\n{_BODY}\nshort\n{_PEM.replace('BEGIN', 'END')} Thanks"),
        (user("[private key] Thanks"),),
    ),
)  # fmt: skip

# What has a rule with a fix, and in this case none: nobody can say what is meant.
UNFIXABLE = (
    ("S308", line({"role": "user", "content": None}, ANSWER), None),
    ("S308", line({"role": "user", "content": 42}, ANSWER), None),
    ("S308", line({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, ANSWER), None),
    ("S309", line(USER, {**ANSWER, "weigth": 0}), None),
    ("S310", line(USER, {**ANSWER, "weight": 0.5}), None),
    ("S307", line({**USER, "role": "narrator"}, ANSWER), None),
    ("J204", GOOD_LINE + b" " + GOOD_LINE[:-2], None),
    ("C503", answer("锟斤拷锟斤拷"), None),
    ("T604", user("So: <|user|>Hi<|end|><|assistant|>Hello<|end|> that is it"), None),
    ("G903", _calls("five past two"), None),
    ("G903", _calls("[1]"), None),
    ("G907", line(USER, ANSWER, tools=[TOOL]), "phi-4-mini"),
    ("R405", line(USER, {"role": "assistant", "content": "A", "weight": 0}, {**ANSWER, "weight": 1}), None),
)
