"""What became of a check."""

from __future__ import annotations

from typing import Literal

import msgspec

AGAIN = "export it again, or put back what was changed"  # what to do where a file is not what was exported


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One check: what it found, and what to do where it failed."""

    name: str
    state: Literal["passed", "failed", "skipped"]
    found: str
    remedy: str = ""


def passed(name: str, found: str) -> Outcome:
    """The check holds."""
    return Outcome(name=name, state="passed", found=found)


def failed(name: str, found: str, remedy: str) -> Outcome:
    """The check does not hold."""
    return Outcome(name=name, state="failed", found=found, remedy=remedy)


def skipped(name: str, why: str) -> Outcome:
    """The check could not be made, or was not asked for."""
    return Outcome(name=name, state="skipped", found=why)


def table(found: list[Outcome]) -> str:
    """Return the outcomes for the terminal."""
    width = max(len(each.name) for each in found)
    lines = []
    for each in found:
        lines.append(f"{each.state:<8} {each.name:<{width}}  {each.found}")
        if each.remedy:
            lines.append(f"{'':<8} {'':<{width}}  → {each.remedy}")
    bad = sum(each.state == "failed" for each in found)
    made = sum(each.state != "skipped" for each in found)
    lines += ["", f"{bad} of {made} checks failed" if bad else f"all {made} checks passed"]
    return "\n".join(lines) + "\n"
