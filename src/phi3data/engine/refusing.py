"""What no step can mend: rows in which the linter still finds an error for this model and destination.

`prepare` drops them, so that `check` finds no error in a row that it wrote: secrets, control tokens spelled in a text,
function calls that the chat template cannot write, arguments that are no JSON. Turns, gaps and lengths have steps of
their own. Definitions of functions go where the template reads them, if it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from phi3data import family, targets
from phi3data.fixes.calls import as_text
from phi3data.lint.conversation import Plan, judge
from phi3data.rules import RULES, template, texts, tools

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3data.chat import Conversation
    from phi3data.engine.recipe import Recipe
    from phi3data.findings import Finding
    from phi3data.tokens.count import TokenizerRef

_ROWS = texts.BATCH
TOOLS_UNSEEN = "G907"


class Refusing:
    """Finds the first error of a row, of the kinds that only a row as it is written shows."""

    def __init__(self, recipe: Recipe, tokenizer: TokenizerRef) -> None:
        target = targets.target(recipe.target)
        errors = {code for code, rule in RULES.items() if target.severity(code, rule.severity) == "error"}
        self._codes = {code for code in errors if not code.startswith(recipe.check.ignore)}
        self._reads_tools = family.model(recipe.model).template.tools is not None and TOOLS_UNSEEN in self._codes
        codes = frozenset(self._codes & (texts.CODES | {rule.code for rule in template.RULES}))
        self._judge = judge(Plan(codes, recipe.model, tokenizer.path or None, recipe.target))

    def mend(self, talk: Conversation) -> bool:
        """Move definitions of functions to the system message, as the JSON text of bare functions; tell if it did.

        A row without a system message stays: which one to write is its author's decision.
        """
        first = talk.messages[0]
        if not (self._reads_tools and talk.tools and first.role == "system" and first.tools is None):
            return False
        first.tools, talk.tools = as_text(talk.tools), None
        return True

    def errors(self, talks: Sequence[Conversation]) -> dict[int, Finding]:
        """Return the first error of each conversation that has one, by its number."""
        found: dict[int, Finding] = {}
        for start in range(0, len(talks), _ROWS):
            group = talks[start : start + _ROWS]
            for number, finding in self._judge.many(group, [0] * len(group)):
                if finding.code in self._codes:
                    found.setdefault(start + number, finding)
        for number, talk in enumerate(talks):
            if number not in found and (first := self._of_calls(talk)) is not None:
                found[number] = first
        return dict(sorted(found.items()))

    def _of_calls(self, talk: Conversation) -> Finding | None:
        calls = (turn.tool_calls or turn.function_call or turn.tool_call_id for turn in talk.messages)
        if not (talk.tools or any(calls)):
            return None
        row = {"messages": talk.messages} | ({"tools": talk.tools} if talk.tools else {})
        return next((each for each in tools.check(msgspec.to_builtins(row)) if each.code in self._codes), None)
