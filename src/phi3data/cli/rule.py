"""``phi3data rule CODE`` explains a rule, ``phi3data rules`` lists them."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

import click

from phi3data.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3data.rules import Rule

_COLOURS = {"error": "red", "warning": "yellow", "info": "blue"}


@click.command("rule")
@click.argument("codes", nargs=-1, required=True, metavar="CODE...")
def rule_command(codes: tuple[str, ...]) -> int:
    """Explain rules: what each finds, why that is bad, an example that fires and one that does not.

    CODE is a code (R405) or a name (consecutive-role).
    """
    chosen = [_find(code) for code in codes]
    width = min(shutil.get_terminal_size().columns, 100)
    click.echo("\n\n".join("\n".join(_explained(rule, width)) for rule in chosen))
    return 0


@click.command("rules")
@click.option("--select", default="", metavar="CODES", help="Only these codes or prefixes, comma-separated.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list with everything about each rule.")
def rules_command(select: str, *, as_json: bool) -> int:
    """List the rules: code, name, severity, and what each finds."""
    chosen = _select(select)
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(chosen), indent=2))
        return 0
    codes = max(len(rule.code) for rule in chosen)
    names = max(len(rule.name) for rule in chosen)
    for rule in chosen:
        severity = click.style(f"{rule.severity:<7}", fg=_COLOURS[rule.severity])
        click.echo(f"{click.style(f'{rule.code:<{codes}}', bold=True)}  {rule.name:<{names}}  {severity}  {rule.title}")
    return 0


def _find(wanted: str) -> Rule:
    from phi3data.rules import RULES

    words = {code.casefold(): rule for code, rule in RULES.items()}
    words |= {rule.name.casefold(): rule for rule in RULES.values()}
    found = words.get(wanted.casefold())
    if found is not None:
        return found
    family = [code for code in RULES if wanted and code.startswith(wanted.upper())]
    if family:
        raise UsageError(
            f"'{wanted}' is the beginning of {len(family)} codes: phi3data rules --select {wanted.upper()}"
        )
    known = [*RULES, *(rule.name for rule in RULES.values())]
    raise UsageError(f"unknown rule '{wanted}'{did_you_mean(wanted, known) or ': phi3data rules lists them'}")


def _select(select: str) -> list[Rule]:
    from phi3data.rules import RULES

    prefixes = [code.strip() for code in select.split(",") if code.strip()]
    for code in prefixes:
        if not any(known.startswith(code) for known in RULES):
            raise UsageError(f"unknown rule '{code}'{did_you_mean(code, RULES)}")
    return [rule for rule in RULES.values() if rule.code.startswith(tuple(prefixes) or "")]


def _explained(rule: Rule, width: int) -> Iterator[str]:
    from phi3data.report.lint.explain import example, examples, facts, sentence

    yield f"{click.style(rule.code, fg=_COLOURS[rule.severity], bold=True)} {click.style(rule.name, bold=True)}"
    yield ""
    yield textwrap.fill(f"{sentence(rule.title)} {rule.why}", width, initial_indent="  ", subsequent_indent="  ")
    yield ""
    for name, fact in facts(rule):
        first, *more = textwrap.wrap(fact, width - 13)
        yield f"  {click.style(f'{name:<9}', dim=True)}  {first}"
        yield from (f"{'':13}{line}" for line in more)
    for title, line in examples(rule):
        yield ""
        yield f"  {click.style(title, dim=True)}"
        # As one line, so that it can be copied into a file.
        yield f"    {example(line)}"
