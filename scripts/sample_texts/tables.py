"""faq.csv and howto.alpaca.json: what a content system and a spreadsheet export."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from typing import TYPE_CHECKING

from scripts.sample_texts.conversations import faq, howto
from scripts.sample_texts.material import MACHINES
from scripts.sample_texts.records import Record, Row, planted, planted_raw, weave
from scripts.sample_texts.repeats import contradiction, exact, respaced
from scripts.sample_texts.shapes import ALPACA, FAQ, alpaca_row, chat_row, damaged, faq_row

if TYPE_CHECKING:
    from scripts.sample_texts.conversations import Desk

_COLUMNS = ("question", "answer", "category", "language", "article")

_FAQ_ROWS = 655
_FAQ_DAMAGE = (
    ["empty", "invisible only", "nan", "N/A", "TBD", "mojibake", "mojibake", "mojibake cyrillic", "replacement"]
    + ["separator", "zero-width", "mustache", "loop", "truncated", "literal newline", "literal newline"]
    + ["doubled quotes", "doubled quotes", "boilerplate", "attachment", "decomposed", "decomposed", "bank", "contact"]
    + ["paragraphs"] * 6
    + ["breaks"] * 4
)

_HOWTO_ROWS = 424
_HOWTO_DAMAGE = [
    "empty",
    "N/A",
    "mojibake",
    "mustache",
    "your name",
    "transcript",
    "transcript",
    "loop",
    "truncated",
    "paragraphs",
    "breaks",
    "decomposed",
    "end token",
    "inst",
    "rendered",
    "contact",
    "password",
    "copied",
    "TBD",
]


def build_faq(desk: Desk, chats: list[Record]) -> list[Record]:
    """Return the records of faq.csv in order. `chats` are clean question-and-answer records of agent_chats.jsonl."""
    rows = [faq_row(desk.draw(faq)) for _ in range(_FAQ_ROWS)] + _order_codes()
    clean = [Record(row=row) for row in rows]
    desk.rng.shuffle(clean)
    broken = [damaged(desk, FAQ, name) for name in _FAQ_DAMAGE] + [_extra_cells(desk) for _ in range(3)]
    broken += [exact(clean[10], FAQ), exact(clean[20], FAQ), respaced(clean[30], FAQ)]
    broken += contradiction(desk, FAQ) + contradiction(desk, FAQ)
    foreign = faq_row(desk.draw(faq, "de"))
    foreign["answer"] = desk.draw(faq, "en").answer
    broken.append(planted(foreign, "C517", "kept", "a German question with an English answer", "/answer"))
    for chat in chats:
        repeated = exact(chat, FAQ)
        question, answer = (message["content"] for message in chat.row["messages"])
        repeated.row = {
            "question": question,
            "answer": answer,
            "category": chat.row["topic"],
            "language": "",
            "article": "",
        }
        broken.append(repeated)
    return weave(desk.rng, clean, broken)


def _order_codes() -> list[Row]:
    """Return rows whose answers are codes that must stay text."""
    frame = {"category": "parts", "language": "en"}
    rows = [
        {"question": f"What is the order code of the {machine}?", "answer": code, **frame, "article": code}
        for machine, code in MACHINES.items()
        if code != "NA"
    ]
    meaning = "NA is the order code of the Fjell Pro. It is a code like any other and does not mean that there is none."
    return [*rows, {"question": "What does the order code NA mean?", "answer": meaning, **frame, "article": "NA"}]


def _extra_cells(desk: Desk) -> Record:
    """Return a line whose answer has unquoted commas. The last cell has text: empty cells may be padding."""
    while True:
        row = faq_row(desk.draw(faq, "en"))
        if (
            row["article"]
            and ", " in row["answer"]
            and not any(mark in row["answer"] + row["question"] for mark in '\n"')
        ):
            line = ",".join([f'"{row["question"]}"', *(row[column] for column in _COLUMNS[1:])])
            return planted_raw(
                line, "C512", "dropped", "commas of the answer are not quoted: too many cells", "/answer"
            )


def render_csv(records: list[Record], file: str) -> bytes:
    """Return the file. Line and record of a record are both its number after the header: records may span lines."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for number, record in enumerate(records, 1):
        record.file, record.line, record.number = file, number, number
        if record.raw is not None:
            text.write(record.raw.decode() + "\n")
        else:
            writer.writerow(record.row)
    return text.getvalue().encode()


def build_howto(desk: Desk, questions: list[Record]) -> list[Record]:
    """Return the records of howto.alpaca.json in order. `questions` are clean records of faq.csv to repeat."""
    clean = [Record(row=alpaca_row(desk.draw(howto))) for _ in range(_HOWTO_ROWS)]
    for record in clean:
        if not record.row["input"] and desk.rng.random() < 0.25:
            record.row["input"] = "<noinput>"
    broken = [damaged(desk, ALPACA, name) for name in _HOWTO_DAMAGE]
    with_input = [record for record in clean if record.row["input"] not in ("", "<noinput>")]
    broken += [exact(with_input[5], ALPACA), respaced(with_input[15], ALPACA), *contradiction(desk, ALPACA)]
    listed = alpaca_row(desk.draw(howto))
    listed["output"] = listed["output"].split("\n")
    question = faq_row(desk.draw(faq))
    broken += [
        planted(listed, "S308", "dropped", "the output is a list", "/output"),
        planted(
            {"question": question["question"], "answer": question["answer"]}, "S303", "dropped", "a question/answer row"
        ),
        planted(chat_row(desk.draw(faq)), "S303", "dropped", "a chat row"),
    ]
    for twin in questions:
        repeated = exact(twin, ALPACA)
        repeated.row = {"instruction": twin.row["question"], "input": "", "output": twin.row["answer"]}
        broken.append(repeated)
    return weave(desk.rng, clean, broken)


def render_array(records: list[Record], file: str) -> bytes:
    """Return the file: a pretty-printed JSON array. A record's line is the one with its opening brace."""
    chunks, line = [], 2
    for number, record in enumerate(records, 1):
        record.file, record.line, record.number = file, line, number
        chunk = textwrap.indent(json.dumps(record.row, ensure_ascii=False, indent=2), "  ", lambda _line: True)
        chunks.append(chunk)
        line += chunk.count("\n") + 1
    return ("[\n" + ",\n".join(chunks) + "\n]\n").encode()
