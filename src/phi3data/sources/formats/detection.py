"""Tell the format of a file from a sample of its rows, or say in one sentence why it has none.

Each row votes for the first format in the registry's order that recognises it, so that a row with the keys of two
formats counts for the more specific one; the format with the most votes is the file's. No majority is asked for: in a
file of several formats the most frequent one is read, and the rows of the others become findings (S303). A null counts
as an absent key, unless no row votes otherwise.
"""

from __future__ import annotations

import shlex
from collections import Counter
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from phi3data.errors import InputError, UsageError, did_you_mean
from phi3data.sources.formats.base import Format, Row, kind, scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SHOWN = 10  # column names in an error
NEAR = 0.75  # similarity from which a column is taken for a misspelt field: "message" for "messages", not "input"
HALF = 0.5  # share of a format's fields below which it is not called the nearest
SIMPLE = ("question-answer", "prompt-completion", "alpaca")  # asked first, so that they win a tie
LABELS = ("label", "category", "intent", "topic", "class", "target", "sentiment")
LISTS = ("messages", "conversations", "contents", "interactions", "instances")


def detect(rows: Sequence[Row], formats: Mapping[str, Format]) -> Format:
    """Return the format of the rows. Raises `InputError` if it is none, or plain text."""
    votes = Counter(_votes(rows, formats)) or Counter(_votes([_filled(row) for row in rows], formats))
    best = max(formats.values(), key=lambda form: votes[form.name])
    if not votes[best.name]:
        raise InputError(_unknown(rows, formats))
    if best.name == "plain-text":
        raise InputError(_plain(rows, votes))
    return best


def first(row: Row, formats: Iterable[Format]) -> Format | None:
    """Return the first of the formats that recognises the row."""
    return next((form for form in formats if form.recognises(row)), None)


def get(name: str, formats: Mapping[str, Format]) -> Format:
    """Return the format of a name, in any case and with ``-``, ``_``, ``/`` or a space between its words."""
    wanted = name.strip().casefold()
    for separator in ("_", "/", " "):
        wanted = wanted.replace(separator, "-")
    if wanted not in formats:
        hint = did_you_mean(wanted, formats) or f"; there are {', '.join(formats)}"
        raise UsageError(f"unknown format '{name}'{hint}")
    return formats[wanted]


def _votes(rows: Sequence[Row], formats: Mapping[str, Format]) -> list[str]:
    found = [first(row, formats.values()) for row in rows]
    return [form.name for form in found if form]


def _filled(row: Row) -> Row:
    """Put the empty value of its kind for each null, so that a file of nothing but nulls has a format by its keys."""
    return {key: ([] if key in LISTS else "") if value is None else value for key, value in row.items()}


def _plain(rows: Sequence[Row], votes: Mapping[str, int]) -> str:
    folded = {key.casefold(): key for row in rows for key in row}
    label = next((folded[name] for name in LABELS if name in folded), None)
    advice = (
        f"for labelled text name the columns with --columns {_argument(['question=text', f'answer={_typed(label)}'])}"
        if label
        else "write question/answer pairs, or name two columns with --columns question=…,answer=…"
    )
    others = [name for name in votes if name != "plain-text"]
    rest = f" ({votes[others[0]]} of {len(rows)} rows look like {others[0]}: --format {others[0]})" if others else ""
    return f"plain text is no conversation: {advice}{rest}"


def _unknown(rows: Sequence[Row], formats: Mapping[str, Format]) -> str:
    cells: dict[str, Any] = {}
    for row in rows:
        for key, value in row.items():
            if cells.get(key) is None:
                cells[key] = value
    if not cells:
        return "no known format: the rows have no columns"
    form, mapping = _nearest(cells, formats)
    found = f"no known format: the rows have the {_listed('column', list(cells))}; nearest is {form.title}, which needs"
    found = f"{found} {_quoted(form.needs)}"
    if all(field in cells for field in form.needs):
        wrong = next((field for field in form.needs if not _fits(field, cells[field])), form.needs[0])
        return f"{found}: here '{wrong}' is {kind(cells[wrong])}"
    renamed = [f"{field}={_typed(mapping.get(field))}" for field in form.needs if mapping.get(field) != field]
    near = [field for field, column in mapping.items() if field != column and _similarity(field, column) >= NEAR]
    verb = f"; did you mean {_quoted(near)}? Name" if near else ": name"
    return f"{found}{verb} {'them' if len(renamed) > 1 else 'it'} with --columns {_argument(renamed)}"


def _nearest(cells: Mapping[str, Any], formats: Mapping[str, Format]) -> tuple[Format, dict[str, str]]:
    """Return the format of which most fields are there or nearly so, and the columns that may stand for its fields.

    Where less than half of any format is there, it is question/answer: any table of two texts can be read as that.
    """
    best, score, mapping = formats[SIMPLE[0]], 0.0, dict[str, str]()
    for form in [*(formats[name] for name in SIMPLE), *formats.values()]:
        fit, columns = _fit(cells, form) if form.needs else (0.0, mapping)
        if fit >= HALF and fit > score:
            best, score, mapping = form, fit, columns
    missing = [field for field in best.needs if field not in mapping]
    free = [key for key, value in cells.items() if key not in mapping.values() and _is_text(value)]
    free.sort(key=lambda key: key.strip().casefold() in LABELS)  # a label is what the answer is, never the question
    if len(missing) == len(free) and not any(field in LISTS for field in missing):
        mapping = {**mapping, **dict(zip(missing, free, strict=True))}
    return best, mapping


def _fit(cells: Mapping[str, Any], form: Format) -> tuple[float, dict[str, str]]:
    """Return the share of a format's needed fields that the columns cover (0–1), and the nearest column of each."""
    mapping: dict[str, str] = {}
    total = 0.0
    for field in form.needs:
        free = [key for key in cells if key not in mapping.values()]
        score, column = max(((_similarity(field, key), key) for key in free), default=(0.0, ""))
        if score >= NEAR:
            mapping[field] = column
            total += score
    return total / len(form.needs), mapping


def _similarity(field: str, column: str) -> float:
    """Return how alike two names are: 1 if they are the same, a little less in another case."""
    if field == column:
        return 1.0
    return 0.99 * SequenceMatcher(None, field, column.strip().casefold()).ratio()


def _fits(field: str, value: Any) -> bool:
    return isinstance(value, list) if field in LISTS else scalar(value)


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _typed(column: str | None) -> str:
    return column if column and column.isprintable() else "…"


def _argument(renamed: list[str]) -> str:
    """Return the value of ``--columns``, in quotes where a shell needs them."""
    text = ",".join(renamed)
    return text if all(char.isalnum() or char in "_-.,=/…" for char in text) else shlex.quote(text)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(repr(name[:40]) for name in names)


def _listed(noun: str, names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{noun}{'s' if len(names) > 1 else ''} {_quoted(names[:SHOWN])}{more}"
