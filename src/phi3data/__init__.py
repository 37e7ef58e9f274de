"""phi3data: messy text → fine-tuning data that trains well, and the proof of it.

The public names below are loaded when they are first used, so that `import phi3data` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from phi3data.version import VERSION

__version__ = VERSION

if TYPE_CHECKING:
    from phi3data.api import (
        Prepared,
        balance,
        clean,
        convert,
        count_tokens,
        decontaminate,
        dedup,
        missing,
        prepare,
        profile,
        similar,
        split,
    )
    from phi3data.chat import Conversation, Message
    from phi3data.engine.recipe import Recipe
    from phi3data.errors import (
        InputError,
        MissingExtraError,
        OutputError,
        Phi3kitError,
        RefusedError,
        UsageError,
        WorkerError,
    )
    from phi3data.family.template import Rendered
    from phi3data.findings import Finding
    from phi3data.lint import CheckResult, check, iter_findings
    from phi3data.rendering import encode, render
    from phi3data.report.profile import Profile
    from phi3data.rows import Rows
    from phi3data.tokens.encode import Encoded

_WHERE = {
    "CheckResult": "lint",
    "Conversation": "chat",
    "Encoded": "tokens.encode",
    "Finding": "findings",
    "InputError": "errors",
    "Message": "chat",
    "MissingExtraError": "errors",
    "OutputError": "errors",
    "Phi3kitError": "errors",
    "Prepared": "api",
    "Profile": "report.profile",
    "Recipe": "engine.recipe",
    "RefusedError": "errors",
    "Rendered": "family.template",
    "Rows": "rows",
    "UsageError": "errors",
    "WorkerError": "errors",
    "balance": "api",
    "check": "lint",
    "clean": "api",
    "convert": "api",
    "count_tokens": "api",
    "decontaminate": "api",
    "dedup": "api",
    "encode": "rendering",
    "iter_findings": "lint",
    "missing": "api",
    "prepare": "api",
    "profile": "api",
    "render": "rendering",
    "similar": "api",
    "split": "api",
}

__all__ = [
    "CheckResult",
    "Conversation",
    "Encoded",
    "Finding",
    "InputError",
    "Message",
    "MissingExtraError",
    "OutputError",
    "Phi3kitError",
    "Prepared",
    "Profile",
    "Recipe",
    "RefusedError",
    "Rendered",
    "Rows",
    "UsageError",
    "WorkerError",
    "__version__",
    "balance",
    "check",
    "clean",
    "convert",
    "count_tokens",
    "decontaminate",
    "dedup",
    "encode",
    "iter_findings",
    "missing",
    "prepare",
    "profile",
    "render",
    "similar",
    "split",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'phi3data' has no attribute '{name}'")
    module = f"phi3data.{_WHERE[name]}"
    try:
        value = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        from phi3data.errors import MissingExtraError

        if error.name and error.name.partition(".")[0] in {"phi3data", "msgspec", "click"}:
            raise
        raise MissingExtraError(f"phi3data.{name}", "data") from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
