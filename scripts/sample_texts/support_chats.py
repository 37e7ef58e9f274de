"""support_chats.sharegpt.json: an older export, with system prompts and several turns."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from scripts.sample_texts.conversations import chat, single_chat
from scripts.sample_texts.records import Defect, Record, Row, planted, weave
from scripts.sample_texts.repeats import contradiction, exact, respaced
from scripts.sample_texts.shapes import SHAREGPT, damaged, put, sharegpt_row

if TYPE_CHECKING:
    from scripts.sample_texts.conversations import Desk

_ROWS = 246

# Questions in the over-long message: some 5,000 words, which no tokenizer brings under 4,096 tokens.
_LONG_QUESTIONS = 300

_TEXT_DAMAGE = [
    "empty",
    "N/A",
    "nan",
    "mojibake",
    "bell",
    "bidi",
    "mustache",
    "transcript",
    "loop",
    "truncated",
    "breaks",
    "boilerplate",
    "decomposed",
    "inst",
    "bos",
    "contact",
    "replacement",
]


def build(desk: Desk, questions: list[Record]) -> list[Record]:
    """Return the file's records in order. `questions` are clean records of faq.csv to repeat."""
    clean = [Record(row=sharegpt_row(desk.draw(chat))) for _ in range(_ROWS)]
    broken = [damaged(desk, SHAREGPT, name) for name in _TEXT_DAMAGE] + _broken_schema(desk) + _broken_turns(desk)
    broken += [exact(clean[40], SHAREGPT), respaced(clean[80], SHAREGPT), *contradiction(desk, SHAREGPT)]
    broken.append(_beginning_of(next(record for record in clean if len(record.row["conversations"]) > 2)))
    for twin in questions:
        repeated = exact(twin, SHAREGPT)
        repeated.row = _row(desk)
        put(repeated.row, SHAREGPT.user, twin.row["question"])
        put(repeated.row, SHAREGPT.assistant, twin.row["answer"])
        broken.append(repeated)
    return weave(desk.rng, clean, broken)


def _row(desk: Desk, language: str | None = None) -> Row:
    return sharegpt_row(desk.draw(single_chat, language))


def _beginning_of(longer: Record) -> Record:
    row = copy.deepcopy(longer.row)
    del row["conversations"][2:]
    return Record(row=row, defects=[Defect("D809", "dropped", "the beginning of", "/conversations", longer)])


def _broken_schema(desk: Desk) -> list[Record]:
    empty, null = _row(desk) | {"conversations": []}, _row(desk) | {"conversations": None}
    string, nameless, narrator = _row(desk), _row(desk), _row(desk)
    string["conversations"][1] = string["conversations"][1]["value"]
    del nameless["conversations"][1]["from"]
    narrator["conversations"][0]["from"] = "narrator"
    listed = _row(desk)
    put(listed, SHAREGPT.assistant, {"text": "see above"})
    return [
        planted(empty, "S301", "dropped", "conversations is empty", "/conversations"),
        planted(null, "S301", "dropped", "conversations is null", "/conversations"),
        planted(string, "S305", "dropped", "the second turn is a string", "/conversations/1"),
        planted(nameless, "S306", "dropped", "the second turn does not say from whom it is", "/conversations/1"),
        planted(narrator, "S307", "dropped", "a turn from 'narrator'", "/conversations/0/from"),
        planted(listed, "S308", "dropped", "the value is an object", SHAREGPT.assistant),
    ]


def _broken_turns(desk: Desk) -> list[Record]:
    no_answer, no_question, dangling, greeting, doubled, middle, lone, long = (_row(desk, "en") for _ in range(8))
    no_answer["conversations"][1:] = [{"from": "human", "value": "Is anybody there?"}]
    no_question["conversations"][0] = {"from": "gpt", "value": "Thank you for calling."}
    dangling["conversations"].append({"from": "human", "value": "And which filter do I need?"})
    greeting["conversations"].insert(0, {"from": "gpt", "value": "Good morning, this is Kaldermoor."})
    doubled["conversations"].insert(1, {"from": "human", "value": "Sorry, I forgot: it is the white model."})
    middle["conversations"].insert(1, {"from": "system", "value": "The customer is known to us."})
    del lone["conversations"][1:]
    put(long, SHAREGPT.user, _notebook(desk))
    return [
        planted(no_answer, "R401", "dropped", "no assistant turn", "/conversations"),
        planted(no_question, "R402", "dropped", "no user turn", "/conversations"),
        planted(dangling, "R403", "changed", "a user turn at the end", "/conversations/2"),
        planted(greeting, "R404", "kept", "the assistant speaks first", "/conversations/0"),
        planted(doubled, "R405", "changed", "two user turns in a row", "/conversations/1"),
        planted(middle, "R406", "dropped", "a system message in the middle", "/conversations/1"),
        planted(lone, "R408", "dropped", "a single message", "/conversations"),
        planted(long, "L701", "dropped", "over 4,096 tokens: a whole notebook in the question", SHAREGPT.user),
    ]


def _notebook(desk: Desk) -> str:
    entries = (f"Day {day}: {desk.phrase('en')}" for day in range(1, _LONG_QUESTIONS + 1))
    return "This is what our staff wrote down about your machines.\n" + "\n".join(entries)
