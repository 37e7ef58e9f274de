"""The command `phi3data`, also as ``python -m phi3data``."""

import gc
import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Inspect(ModuleType):
    """Stands for `inspect` in click, which takes it to tidy help texts: loading it is an eighth of a cold start."""

    def cleandoc(self, doc: str) -> str:
        return self.__getattr__("cleandoc")(doc) if "\n" in doc else doc.expandtabs().lstrip()

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get("inspect") is self:
            del sys.modules["inspect"]
        return getattr(import_module("inspect"), name)


def main() -> None:
    """Run the command."""
    gc.set_threshold(50_000)  # modules that are being loaded are no garbage: before the first is loaded
    load_click()
    from phi3data import cli

    cli.main()


def load_click() -> None:
    """Load click without `inspect`, which everybody else who asks for it gets."""
    if "inspect" in sys.modules:
        return
    here = sys.modules["inspect"] = _Inspect("inspect")
    import click  # noqa: F401

    if sys.modules.get("inspect") is here:
        del sys.modules["inspect"]


if __name__ == "__main__":
    main()
