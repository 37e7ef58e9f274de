"""Twelve good rows and a bad one: each kind of bad row is flagged with its code, at its line, and nothing crashes."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

import phi3data

WORDS = ("tray", "filter", "pump", "valve", "kettle", "handle", "cable", "lamp", "switch", "drawer", "basket", "hinge")


def chat(*turns: tuple[str, Any], **keys: Any) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": text} for role, text in turns], **keys}


GOOD = [
    chat(("user", f"How do I clean the {word}?"), ("assistant", f"Rinse the {word} under warm water and let it dry."))
    for word in WORDS
]
GOOD_LINES = [json.dumps(row).encode() for row in GOOD]


def asked(text: Any) -> bytes:
    return json.dumps(chat(("user", text), ("assistant", "Take the blue one.")), ensure_ascii=False).encode()


def answered(text: Any) -> bytes:
    return json.dumps(chat(("user", "Which one is it?"), ("assistant", text)), ensure_ascii=False).encode()


def said(*turns: tuple[str, Any]) -> bytes:
    return json.dumps(chat(*turns), ensure_ascii=False).encode()


def weighted(*weights: Any) -> bytes:
    row = chat(*[turn for _ in weights for turn in (("user", "And now?"), ("assistant", "Take the blue one."))])
    for number, weight in enumerate(weights):
        row["messages"][2 * number + 1]["weight"] = weight
    return json.dumps(row).encode()


def calling(arguments: str, answers: str = "c1", name: str = "time") -> bytes:
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}
    tool = {"type": "function", "function": {"name": "time", "parameters": {"type": "object", "required": ["zone"]}}}
    row = chat(("user", "What time is it?"), ("assistant", ""), ("tool", "12:00"), ("assistant", "It is noon."))
    row["messages"][1]["tool_calls"] = [call]
    row["messages"][2]["tool_call_id"] = answers
    return json.dumps({**row, "tools": [tool]}).encode()


GOOD_LINE = asked("Which one is it?")
U, A = ("user", "Which one is it?"), ("assistant", "Take the blue one.")

# What is wrong → the bad line (or lines), and its code.
ROWS: dict[str, tuple[bytes, str]] = {
    "cp1252": (answered("Schön, das blaue.").decode().encode("cp1252"), "F102"),
    "BOM inside": (b"\xef\xbb\xbf" + GOOD_LINE, "F104"),
    "raw line separator": (answered("Take\u2028the blue one."), "F107"),
    "merge conflict": (b"<<<<<<< HEAD", "F108"),
    "invalid JSON": (b"{'messages': []}", "J201"),
    "blank line": (b"", "J203"),
    "two objects on a line": (GOOD_LINE + GOOD_LINE, "J204"),
    "NaN": (GOOD_LINE[:-1] + b', "score": NaN}', "J207"),
    "duplicate key": (GOOD_LINE[:-1] + b', "messages": []}', "J206"),
    "a duplicate key after a backslash": (GOOD_LINE[:-1] + b', "a\\\\": 1, "b": 1, "b": 2}', "J206"),
    "100,000 deep": (b"[" * 100_000 + b"]" * 100_000, "J209"),
    "lone surrogate": (GOOD_LINE.replace(b"Which", b"\\ud83d"), "J208"),
    "raw control character": (GOOD_LINE.replace(b"Which", b"\x01"), "J210"),
    "a list": (b"[1, 2]", "J211"),
    "no messages": (b'{"text": "Hi"}', "S301"),
    "messages are null": (b'{"messages": null}', "S301"),
    "messages are empty": (b'{"messages": []}', "S301"),
    "another format": (b'{"instruction": "Name it.", "input": "", "output": "The blue one."}', "S302"),
    "misspelt messages": (GOOD_LINE.replace(b"messages", b"mesages"), "S304"),
    "extra key": (GOOD_LINE[:-1] + b', "mood": "good"}', "S304"),
    "message is a text": (b'{"messages": ["Hi", {"role": "assistant", "content": "Yes."}]}', "S305"),
    "no role": (b'{"messages": [{"content": "Hi"}, {"role": "assistant", "content": "Yes."}]}', "S306"),
    "role is a number": (GOOD_LINE.replace(b'"user"', b"1"), "S306"),
    "role human": (GOOD_LINE.replace(b'"user"', b'"human"'), "S307"),
    "role narrator": (GOOD_LINE.replace(b'"user"', b'"narrator"'), "S307"),
    "null content": (asked(None), "S308"),
    "number as content": (asked(42), "S308"),
    "list as content": (asked([{"type": "text", "text": "Which?"}]), "S308"),
    "misspelt message key": (GOOD_LINE.replace(b'"role": "assistant"', b'"role": "assistant", "weigth": 0'), "S309"),
    "weight 2": (weighted(2), "S310"),
    "weight true": (weighted(True), "S310"),
    "weight as text": (weighted("1"), "S310"),
    "weight of a user": (GOOD_LINE.replace(b'"role": "user"', b'"role": "user", "weight": 1'), "S310"),
    "weight 0 that is not read": (weighted(0, 1), "S311"),
    "no assistant": (said(("system", "Be kind."), U), "R401"),
    "no user": (said(("system", "Be kind."), A), "R402"),
    "ends with the user": (said(U, A, U), "R403"),
    "assistant first": (said(A, U, A), "R404"),
    "user twice": (said(U, U, A), "R405"),
    "assistant twice": (said(U, A, A), "R405"),
    "system in the middle": (said(U, ("system", "Be kind."), A), "R406"),
    "two systems": (said(("system", "Be kind."), ("system", "Be brief."), U, A), "R406"),
    "one message": (said(U), "R408"),
    "all weights 0": (weighted(0, 0), "R409"),
    "answer repeats the question": (
        said(
            ("user", "Where is the nearest open petrol station to the old town hall?"),
            ("assistant", "Where is the nearest open petrol station to the old town hall?"),
        ),
        "R411",
    ),
    "empty answer": (answered(""), "C501"),
    "zero-width answer": (answered("\u200b\ufeff"), "C501"),
    "nan answer": (answered("nan"), "C502"),
    "mojibake": (answered("SchÃ¶n, dass du fragst: das blaue."), "C503"),
    "U+FFFD": (answered("Sch\ufffdn, das blaue."), "C504"),
    "escaped control character": (GOOD_LINE.replace(b"Take", b"\\u0007Take"), "C505"),
    "zero-width inside": (answered("Take\u200b the blue one."), "C506"),
    "space before code": (answered("    def blue():\n        return 1\n"), "C507"),
    "placeholder": (answered("Dear {{customer_name}}, take the blue one."), "C508"),
    "embedded transcript": (
        answered("Take the blue one.\n\nUser: And the red one?\nAssistant: That one is broken.\nUser: Thank you."),
        "C509",
    ),
    "repetition": (answered("The blue one is the best. " * 40), "C510"),
    "cut answer": (
        answered("First empty the tray. Then rinse the brewing group under warm water and let it d"),
        "C511",
    ),
    "literal line ends": (answered("Take the blue one.\\n\\nThen close the lid.\\n\\nThen start it."), "C512"),
    "tags": (answered("<p>Take the <b>blue</b> one.</p><br/>"), "C513"),
    "boilerplate": (answered("As an AI language model, I cannot tell which one it is."), "C514"),
    "missing picture": (asked("Which one is it in the attached picture?"), "C515"),
    "not NFC": (answered("Scho\u0308n, das blaue."), "C516"),
    "template token in user text": (asked("What does <|end|> mean?"), "T601"),
    "template token in assistant text": (answered("It ends the turn: <|end|> does."), "T601"),
    "HTML strike-through": (answered("It is <s>red</s> blue."), "T602"),
    "foreign tokens": (asked("[INST] Which one is it? [/INST]"), "T603"),
    "a rendered template": (asked("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes<|im_end|>"), "T604"),
    "image token": (asked("<|image_1|>\nWhich one is it?"), "T607"),
    "over the context": (asked("word " * 5000), "L701"),
    "answer after the context": (asked("word " * 5000), "L702"),
    "next to nothing trained": (said(("user", "word " * 3000), ("assistant", "Yes.")), "L703"),
    "orphan tool result": (calling('{"zone": "CET"}', answers="c2"), "G905"),
    "arguments that are no JSON": (calling("zone=CET"), "G903"),
    "an unknown function": (calling('{"zone": "CET"}', name="clock"), "G902"),
    "arguments against the schema": (calling("{}"), "G904"),
    "tools that vanish": (GOOD_LINE[:-1] + b', "tools": [{"type": "function", "function": {"name": "t"}}]}', "G906"),
    "e-mail": (answered("Write to anna.keller@kalder-service.com for the blue one."), "P001"),
    "card number": (answered("The card 4111 1111 1111 1111 was charged."), "P001"),
    "cloud key": (answered("Use AKIAIOSFODNN7EXAMPLQ to log in."), "P002"),
    "private key": (
        answered("-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA7bqQ" * 9 + "\n-----END RSA PRIVATE KEY-----"),
        "P003",
    ),
    "exact duplicate": (GOOD_LINES[3], "D802"),
    "same prompt, another answer": (
        said(("user", "How do I clean the valve?"), ("assistant", "Do not: it is sealed.")),
        "D804",
    ),
    "the beginning of another": (said(U, A), "D809"),
}
MORE = {"the beginning of another": said(U, A, ("user", "And then?"), ("assistant", "Nothing more."))}


@pytest.mark.parametrize("kind", ROWS)
def test_a_bad_row_among_good_ones_is_flagged_at_its_line(kind: str, tmp_path: Path) -> None:
    line, code = ROWS[kind]
    lines = [*GOOD_LINES, *([MORE[kind]] if kind in MORE else [])]
    place = random.Random(kind).randrange(5, len(lines))  # not the first: that is where a file begins
    lines.insert(place, line)
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    found = {(found.line, found.code) for found in phi3data.check(path, project=True).findings}
    # Of rows that are equal, or answer alike, the later one is told.
    assert code in {code for number, code in found if number == place + 1 or code in {"D802", "D804"}}, found
    # The others are as good as before: nothing is found in them but what is of the whole file or of a pair of rows.
    others = {(number, code) for number, code in found if number != place + 1}
    assert {code for _, code in others} <= {"D801", "D802", "D804", "S303", "S304", "S313"}, others


def test_the_good_rows_are_silent(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"\n".join(GOOD_LINES) + b"\n")
    assert phi3data.check(path).findings == []
    weights = [weighted(number % 2, 1) for number in range(12)]
    path.write_bytes(b"\n".join(weights) + b"\n")
    assert phi3data.check(path, target="openai").findings == []


FILES: dict[str, tuple[bytes, str]] = {
    "UTF-16": ((b"\n".join(GOOD_LINES) + b"\n").decode().encode("utf-16"), "F102"),
    "JSON array": (json.dumps(GOOD).encode(), "J202"),
    "pretty-printed": (json.dumps(GOOD, indent=2).encode(), "J202"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n", "F108"),
    "a web page": (b"<!DOCTYPE html><html><body>Not found</body></html>", "F108"),
    "CRLF": (b"\r\n".join(GOOD_LINES) + b"\r\n", "F106"),
    "no final line end": (b"\n".join(GOOD_LINES), "F106"),
    "a last line that is cut": (b"\n".join(GOOD_LINES)[:-20], "J205"),
    "9 rows": (b"\n".join(GOOD_LINES[:9]) + b"\n", "D801"),
    "empty": (b"", "F101"),
    "blank": (b"\n \n", "F101"),
    "mixed formats": (b'{"conversations": [{"from": "human", "value": "Hi"}]}\n' + b"\n".join(GOOD_LINES), "S303"),
    "partial tools": (
        GOOD_LINES[0][:-1] + b', "tools": [{"type": "function", "function": {"name": "t"}}]}\n' + GOOD_LINES[1] + b"\n",
        "S313",
    ),
    "a row many times as long": (
        b"\n".join([*GOOD_LINES * 5, said(U, ("assistant", "Take the blue one, then the red one. " * 400))]) + b"\n",
        "L704",
    ),
    "one prompt on all rows": (
        b"\n".join(said(U, ("assistant", f"The one with the {n} on it.")) for n in range(60)) + b"\n",
        "D808",
    ),
    "sorted by label": (
        b"\n".join(
            json.dumps({**chat(("user", f"Which {n}?"), A), "label": "ab"[n // 50]}).encode() for n in range(100)
        )
        + b"\n",
        "D807",
    ),
    "one label on most rows": (
        b"\n".join(
            json.dumps({**chat(("user", f"Which {n}?"), A), "label": "ab"[n % 20 == 0]}).encode() for n in range(100)
        )
        + b"\n",
        "D806",
    ),
    "a slip in a system prompt": (
        b"\n".join(said(("system", "Be kind and brief."), ("user", f"Which {n}?"), A) for n in range(30))
        + b"\n"
        + said(("system", "Be kind and brief"), U, A)
        + b"\n",
        "R410",
    ),
    "chosen answers are longer": (
        b"\n".join(
            json.dumps({"prompt": f"Which {n}?", "chosen": "The blue one, of course.", "rejected": f"Red {n}"}).encode()
            for n in range(60)
        ),
        "X003",
    ),
    "dates": (b"\n".join(line[:-1] + b', "day": "2024-01-02"}' for line in GOOD_LINES) + b"\n", "S312"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_bad_file_is_flagged(kind: str, tmp_path: Path) -> None:
    data, code = FILES[kind]
    path = tmp_path / "train.jsonl"
    path.write_bytes(data)
    found = phi3data.check(path, project=True).findings
    assert code in {item.code for item in found}


def test_splits_that_share_rows_are_flagged_where_rows_are_held_out(tmp_path: Path) -> None:
    train, validation = tmp_path / "train.jsonl", tmp_path / "valid.jsonl"
    train.write_bytes(b"\n".join(GOOD_LINES) + b"\n")
    again = said(("user", "How do I clean the valve?"), ("assistant", "Do not: it is sealed."))
    validation.write_bytes(GOOD_LINES[2] + b"\n" + GOOD_LINE + b"\n" + again + b"\n")
    found = phi3data.check([validation, train], project=True, select="D805").findings
    assert [(item.path, item.line) for item in found] == [(str(validation), 1), (str(validation), 3)]
    assert found[0].message == f"the same row is in train: {train}:3"
    assert found[1].message == f"the same prompt is in train: {train}:4"


def test_similar_rows_are_flagged_and_held_out_ones_as_leakage(tmp_path: Path) -> None:
    rng = random.Random(4)
    rows = [
        said(("user", f"How does the {word} of my machine work?"), ("assistant", " ".join(rng.choices(WORDS, k=60))))
        for word in WORDS
    ]
    near = [json.loads(rows[number]) for number in (3, 7)]
    for row in near:
        row["messages"][1]["content"] += " today"
    train, held = tmp_path / "train.jsonl", tmp_path / "test.jsonl"
    train.write_bytes(b"\n".join([*rows, json.dumps(near[0]).encode()]) + b"\n")
    held.write_bytes(json.dumps(near[1]).encode() + b"\n" + GOOD_LINE + b"\n")
    result = phi3data.check([held, train], project=True, select="D803,D805", similar=phi3data.similar)
    assert result.skipped == ()
    found = [(item.path, item.line, item.code, item.message.partition(" (")[0]) for item in result.findings]
    assert found == [
        (str(held), 1, "D805", f"the same prompt is in train: {train}:8"),
        (str(held), 1, "D805", f"similar to a row of train: {train}:8"),
        (str(train), 13, "D803", f"similar to {train}:4"),
    ]
    (skipped,) = phi3data.check(train, project=True).skipped
    assert skipped.code == "D803"
