"""REPORT.md: the report for those who read it beside the code; warnings first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3data.report.card import escape
from phi3train.report import tables
from phi3train.report.page import headline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3train.report.story import Story
    from phi3train.report.tables import Table

_FIGURE = re.compile(r"[\d.,]+%?")


def render(story: Story, warnings: Sequence[str]) -> str:
    """Return the report as Markdown. Texts of rows are not in it: it is kept where data may not be."""
    state = story.state
    confusion = story.confusion
    parts = {
        "Evaluation": tables.measured(story.evaluation or {}),
        "Classes": tables.classes(confusion) if confusion else None,
        "While training": tables.evaluations(story),
        "Data": tables.data(story),
        "Files": tables.files(story),
        "Left out": tables.lost(story),
        "Plan and reality": tables.plan(story),
        "Versions": tables.versions(story),
    }
    lines = [
        f"# Training report: {escape(story.path.name)}",
        "",
        f"**{state['state']}** at step {state.get('step', 0):,} of {state.get('steps', 0):,}. {headline(story)}",
        "",
        "## Warnings",
        "",
        *([f"- {escape(each)}" for each in warnings] or ["None."]),
        "",
    ]
    for title, table in parts.items():
        if table is not None:
            lines += [f"## {title}", "", *written(table)]
    lines += ["## Configuration", "", "What differs from the defaults:", "", "```toml"]
    lines += [f"{key} = {value}" for key, value in tables.changes(story.config)]
    return "\n".join([*lines, "```"]) + "\n"


def written(table: Table) -> list[str]:
    """Return a table as Markdown."""
    marks = [" --- " if table.words or not index else " ---: " for index in range(len(table.heads))]
    return [
        f"| {' | '.join(escape(head) for head in table.heads)} |",
        f"|{'|'.join(marks)}|",
        *(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in table.rows),
        "",
    ]


def _cell(text: str) -> str:
    """Return a cell as Markdown: figures as they are, since a cell cannot begin a list."""
    return text if _FIGURE.fullmatch(text) else escape(text)
