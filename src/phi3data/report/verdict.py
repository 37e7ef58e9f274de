"""The verdict: whether the data is ready, and what to look at first. Nothing but what a curator would act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data import targets
from phi3data.rules import title
from phi3data.steps.split import wanted_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3data.engine.recipe import Recipe
    from phi3data.report.profile import Profile

_MANY_DROPPED = 0.2  # share of the rows from which on the reasons should be looked at
_WRONG_ENCODING = 0.1  # share of a file's rows from which on the file, not the row, has another encoding


def judge(
    profile: Profile, recipe: Recipe, kept_with: list[tuple[str, int]], bad: dict[str, int], given: list[str]
) -> None:
    """Say whether the data is ready, in words that a curator can act on.

    `kept_with` counts the kept rows by the code of a finding that did not drop them, `bad` the rows of each source that
    are not UTF-8. `given` are the splits that the user gave.
    """
    profile.warnings += _warnings(profile, recipe, kept_with, bad)
    lost = [name for name in given if not profile.outputs.get(f"{name}.jsonl")]
    profile.warnings += [f"No row of the {name} set that you gave can be used: there is none." for name in lost]
    target = targets.target(recipe.target)
    kept, train = profile.rows_kept, profile.outputs["train.jsonl"]
    if kept == 0:
        profile.verdict, profile.headline = "unusable", f"None of the {profile.rows_in:,} rows can be trained on."
    elif train < target.minimum_rows:
        profile.verdict = "unusable"
        profile.headline = f"{_rows(train, 'training ')}: {target.title} needs at least {target.minimum_rows} (D801)."
    else:
        profile.verdict = "look" if profile.warnings else "ready"
        then = ", with something to look at first." if profile.warnings else "."
        profile.headline = f"{kept:,} of {profile.rows_in:,} rows are ready to train {profile.tokens.model}{then}"


def _warnings(profile: Profile, recipe: Recipe, kept_with: list[tuple[str, int]], bad: dict[str, int]) -> Iterator[str]:
    target = targets.target(recipe.target)
    train = profile.outputs["train.jsonl"]
    if target.minimum_rows <= train < target.advised_rows:
        yield f"{_rows(train, 'training ')}: {target.advised_rows} and more are advised (D801)."
    gone = profile.balance.gone if profile.balance else 0  # asked for
    if profile.rows_dropped - gone > _MANY_DROPPED * profile.rows_in:
        share = (profile.rows_dropped - gone) / profile.rows_in
        yield f"{share:.0%} of the rows were dropped: look at the reasons before you train."
    for source in profile.sources:
        count = bad.get(source.path, 0)
        often = count >= _WRONG_ENCODING * source.rows
        advice = ": if it is Windows-1252, run again with --encoding cp1252." if often else "."
        if count:
            yield f"{_rows(count)} of {source.path} {'is' if count == 1 else 'are'} not UTF-8 (F102){advice}"
    for code, count in kept_with:
        yield f"{_rows(count)} kept in which {title(code)} ({code})."
    if not (recipe.check.enabled and recipe.missing.enabled):
        yield "The rows were not checked: the steps missing and check were not both on."
    if profile.tokens.over_limit:
        yield f"{_rows(profile.tokens.over_limit)} longer than the limit of {profile.tokens.limit:,} tokens."
    wanted = recipe.split.enabled and recipe.split.validation
    if wanted and profile.rows_kept and not profile.outputs.get("validation.jsonl"):
        yield "There is no validation set: all rows ask the same, or belong to one group."
    for name, size in (("validation", recipe.split.validation), ("test", recipe.split.test)):
        rows = profile.outputs.get(f"{name}.jsonl", 0)
        wanted = wanted_rows(size, profile.rows_kept + gone)
        if recipe.split.enabled and rows and size and abs(rows - wanted) > max(2, 0.2 * rows):
            yield f"{_rows(rows)} are in {name}, not {wanted:,}: rows that ask the same stay together."
    lost = [label.label for label in profile.labels if not label.after]
    if lost:
        yield f"No row is left of {', '.join(lost[:5])}{' …' if len(lost) > 5 else ''}: the label is gone."


def _rows(count: int, kind: str = "") -> str:
    return f"{count:,} {kind}row{'' if count == 1 else 's'}"
