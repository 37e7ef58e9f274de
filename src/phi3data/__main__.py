"""The command `phi3data`, also as ``python -m phi3data``."""

import gc
import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _StandIn(ModuleType):
    """Stands for a module of which one function is needed while others load, and is the module to who needs more."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


class _Inspect(_StandIn):
    """click takes it to tidy help texts: loading it is an eighth of a cold start."""

    def cleandoc(self, doc: str) -> str:
        return self.__getattr__("cleandoc")(doc) if "\n" in doc else doc.expandtabs().lstrip()


class _Platform(_StandIn):
    """msgspec takes uuid, and that asks for the name of the system: loading it is a twentieth of a cold start."""

    def system(self) -> str:
        return os.uname().sysname if hasattr(os, "uname") else self.__getattr__("system")()


def main() -> None:
    """Run the command."""
    gc.set_threshold(50_000)  # modules that are being loaded are no garbage: before the first is loaded
    load()
    from phi3data import cli

    cli.main()


def load() -> None:
    """Load click and msgspec without `inspect` and `platform`, which everybody else who asks for them gets."""
    stand_ins = {one.__name__: one for one in (_Inspect("inspect"), _Platform("platform"))}
    for name, one in stand_ins.items():
        sys.modules.setdefault(name, one)
    import click  # noqa: F401
    import msgspec  # noqa: F401

    for name, one in stand_ins.items():
        if sys.modules.get(name) is one:
            del sys.modules[name]


if __name__ == "__main__":
    main()
