"""report.html and REPORT.md: what a run did, told from the files in its folder alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3train.folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path) -> list[str]:
    """Write report.html and REPORT.md into a run folder, and return the warnings that stand in them first.

    Nothing is computed anew: the same files give the same text. Raises `OutputError` for a folder that is no run.
    """
    from phi3train.report.markdown import render as markdown
    from phi3train.report.page import render as page
    from phi3train.report.story import read
    from phi3train.report.warnings import warnings

    story = read(path)
    said = warnings(story)
    folder = RunFolder(path)
    folder.write_text("report.html", page(story, said))
    folder.write_text("REPORT.md", markdown(story, said))
    return said
