"""Rows to look at: some dropped ones of every reason, some changed ones with the change marked, some kept ones.

The choice is spread over the inputs and depends on the place of a row only, so that the same run shows the same rows.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from os.path import commonprefix
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.chat import Conversation, Message
from phi3data.engine.examine import examine_row
from phi3data.findings import Finding
from phi3data.report.profile import Example, ExampleMessage
from phi3data.rules import title
from phi3data.sources.open import read
from phi3data.sources.reader import Reader
from phi3data.sources.source import MAX_RECORD, Shard
from phi3data.steps.balance import NONE

if TYPE_CHECKING:
    import duckdb

    from phi3data.engine.local import Run

_PER_REASON = 3
_KEPT = 6
_TEXT = 1200  # code points of a message that are shown
_CONTEXT = 80  # code points of unchanged text on each side of a change
_RAW = 600  # bytes of a row that could not be read
_MESSAGES = 12
_WORD = re.compile(r"\r\n|\s|\w+|[^\w\s]")


def choose(run: Run, db: duckdb.DuckDBPyConnection) -> list[Example]:
    """Return the examples: dropped by reason, then changed by reason, then kept."""
    # 2654435761 is Knuth's multiplier: consecutive records land far apart.
    spread = "(record * 2654435761 + source * 97 + sub) % 4294967296"
    columns = 'seq, row_id, source, line, record, sub, "offset", length, final_step, final_reason, evidence'
    columns += ", kept, place, kind, score, balanced_by, before, after"
    picked = db.execute(
        f"""
        WITH picked AS (
            SELECT seq, 'dropped' AS action FROM rows WHERE fate IS NULL
            QUALIFY row_number() OVER (PARTITION BY final_step, final_reason ORDER BY {spread}, seq) <= {_PER_REASON}
            UNION ALL SELECT seq, 'changed' FROM rows WHERE fate IS NOT NULL AND changes IS NOT NULL
            QUALIFY row_number() OVER (PARTITION BY reason ORDER BY {spread}, seq) <= {_PER_REASON}
            UNION ALL (SELECT seq, 'kept' FROM rows WHERE fate IS NOT NULL AND changes IS NULL
            ORDER BY {spread}, seq LIMIT {_KEPT})
        )
        SELECT action, {columns} FROM picked JOIN whole USING (seq)
        """  # noqa: S608 (numbers and names of ours)
    )
    names = [column[0] for column in picked.description]
    found = [dict(zip(names, row, strict=True)) for row in picked.fetchall()]
    order = {"dropped": 0, "changed": 1, "kept": 2}
    found.sort(key=lambda row: (order[row["action"]], row["final_step"] or "", row["final_reason"] or "", row["seq"]))
    return [_example(run, row) for row in found]


def _example(run: Run, row: dict[str, Any]) -> Example:
    source = run.sources[row["source"]]
    evidence = msgspec.json.decode(row["evidence"]) if row["evidence"] else {}
    reason = row["final_reason"] or ""
    example = Example(
        row_id=row["row_id"],
        source=source.name,
        line=row["record"] if source.tabular else row["line"],
        action=row["action"],
        step=row["final_step"] or "",
        reason=reason,
        title=title(reason) if reason else "",
        detail=_detail(row, evidence),
    )
    before = _conversation(run, row)
    if before is None:
        example.raw = _raw(source.path, row)
        return example
    if row["action"] == "changed":
        after = _copy(before)
        examine_row(after, run.recipe)
        example.messages = _changes(before, after)
    else:
        if row["action"] == "kept" or row["final_step"] in {"length", "dedup", "split", "balance"}:
            examine_row(before, run.recipe)
        example.messages = [_plain(message) for message in before.messages[:_MESSAGES]]
    return example


_KINDS = {
    "exact": "the same as",
    "normalised": "the same, but for case and white space, as",
    "near": "similar ({score:.2f}) to",
    "prefix": "the beginning of",
    "conflict": "another answer to the prompt of",
    "prompt": "asks what is asked in",
    "group": "of the group of",
}


def _detail(row: dict[str, Any], evidence: dict[str, Any]) -> str:
    if row["kept"]:
        where = f" ({row['place']})" if row["place"] else ""
        return f"{_KINDS[row['kind']].format(score=row['score'] or 0)} row {row['kept']}{where}, which is kept"
    if row["final_step"] == "balance":
        return (
            f"its group, {row['balanced_by'] or NONE}, has {row['before']:,} rows, of which {row['after']:,} are kept"
        )
    text = str(evidence.get("message", ""))
    return f"{text} ({evidence['pointer']})" if text and evidence.get("pointer") else text


def _conversation(run: Run, row: dict[str, Any]) -> Conversation | None:
    """Read the row again, as it was before any step."""
    source = run.sources[row["source"]]
    if row["length"] > MAX_RECORD:
        return None
    shard = Shard(0, source.index, row["offset"], row["offset"] + max(row["length"], 1))
    raw = next((raw for raw in read(source, shard) if raw.offset == row["offset"]), None)
    if raw is None or isinstance(raw.value, Finding):
        return None
    found = Reader(source, run.recipe.source).conversations(raw.value)
    return None if isinstance(found, Finding) else found[max(row["sub"] - 1, 0)]


def _copy(conversation: Conversation) -> Conversation:
    return msgspec.json.decode(msgspec.json.encode(conversation), type=Conversation)


def _raw(path: str, row: dict[str, Any]) -> str:
    with Path(path).open("rb") as file:
        file.seek(row["offset"])
        text = file.read(min(row["length"], _RAW)).decode("utf-8", "replace")
    return text + (" …" if row["length"] > _RAW else "")


def _text(message: Message) -> str:
    calls = message.tool_calls or message.function_call
    return (message.content or "") + (msgspec.json.encode(calls).decode() if calls else "")


def _plain(message: Message) -> ExampleMessage:
    return ExampleMessage(role=message.role, diff=[("=", _shortened(_text(message)))])


def _shortened(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 200]} … {text[-200:]}"


def _changes(before: Conversation, after: Conversation) -> list[ExampleMessage]:
    """Align the messages by role and text, then mark what changed inside each."""
    old = [(message.role, _text(message)) for message in before.messages]
    new = [(message.role, _text(message)) for message in after.messages]
    if len(old) == len(new):
        pairs = list(zip(old, new, strict=True))
        return [ExampleMessage(role=now[0], diff=_diff(was[1], now[1])) for was, now in pairs[:_MESSAGES]]
    out: list[ExampleMessage] = []
    for operation, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if operation == "equal":
            out += [ExampleMessage(role=role, diff=[("=", _shortened(text))]) for role, text in old[i:j]]
        else:
            out += [ExampleMessage(role=role, diff=[("-", _shortened(text))]) for role, text in old[i:j]]
            out += [ExampleMessage(role=role, diff=[("+", _shortened(text))]) for role, text in new[k:m]]
    return out[:_MESSAGES]


def _diff(before: str, after: str) -> list[tuple[str, str]]:
    """Mark what changed between two texts. What is equal at both ends is cut off before anything is compared."""
    if before == after:
        return [("=", _shortened(before))]
    start = len(commonprefix([before, after]))  # noqa: RUF071 (characters are what is meant)
    end = len(commonprefix([before[start:][::-1], after[start:][::-1]]))  # noqa: RUF071
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    out = [("=", _middle_cut(before[:start]))] if start else []
    # Comparing takes quadratic time: long stretches are compared by words, and only as far as they are shown.
    words = max(len(old), len(new)) > _TEXT
    cut = words and max(len(old), len(new)) > 3 * _TEXT
    one, other = (_WORD.findall(text[: 3 * _TEXT]) if words else list(text) for text in (old, new))
    for operation, i, j, k, m in SequenceMatcher(None, one, other, autojunk=words).get_opcodes():
        if operation == "equal":
            out.append(("=", _middle_cut("".join(one[i:j]))))
        else:
            out += [item for item in (("-", "".join(one[i:j])), ("+", "".join(other[k:m]))) if item[1]]
    if cut:
        out.append(("=", " …"))
    return [*out, ("=", _middle_cut(before[len(before) - end :]))] if end else out


def _middle_cut(text: str) -> str:
    return text if len(text) <= 3 * _CONTEXT else f"{text[:_CONTEXT]} … {text[-_CONTEXT:]}"
