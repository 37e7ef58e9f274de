"""Self-instruct seeds: one instruction with several instances of input and output; each becomes a conversation.

Example: ``{"instruction": "Name the capital.", "instances": [{"input": "France", "output": "Paris"}, …]}``

Each instance is read as a row of alpaca.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data.sources.formats import alpaca
from phi3data.sources.formats.base import Format, Row, UnconvertibleError, cell, kind, question_answer

if TYPE_CHECKING:
    from phi3data.chat import Conversation


def recognises(row: Row) -> bool:
    """Tell whether the row has a list of instances."""
    return isinstance(row.get("instances"), list)


def convert(row: Row) -> list[Conversation]:
    """Convert one seed. Raises `UnconvertibleError` (S301 without instances, S305, S308)."""
    instances = row.get("instances")
    if not isinstance(instances, list) or not instances:
        if "instances" not in row:
            raise UnconvertibleError("S301", "the row has no 'instances'")
        what = "an empty list" if instances == [] else kind(instances)
        raise UnconvertibleError("S301", f"'instances' is {what}, expected a list of instances", "/instances")
    conversations = []
    for index, instance in enumerate(instances):
        at = f"/instances/{index}"
        if not isinstance(instance, dict):
            raise UnconvertibleError("S305", f"expected an object with input and output, found {kind(instance)}", at)
        extra = cell(instance.get("input"), f"{at}/input")
        question = alpaca.instruction({"instruction": row.get("instruction"), "input": extra})
        conversations += question_answer(question, cell(instance.get("output"), f"{at}/output"))
    return conversations


FORMAT = Format(
    name="self-instruct",
    title="self-instruct",
    fields=("instruction", "instances"),
    needs=("instruction", "instances"),
    recognises=recognises,
    convert=convert,
)
