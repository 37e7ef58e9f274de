"""The public surface: names, documentation, and that importing costs nothing."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import phi3data
from tests.conftest import ROOT

NAMES = [
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


def test_the_public_names_are_these() -> None:
    assert sorted(phi3data.__all__) == sorted(NAMES) == sorted(dir(phi3data))
    for name in NAMES:
        assert getattr(phi3data, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'prepar'"):
        _ = phi3data.prepar


def test_importing_loads_nothing() -> None:
    code = "import sys, phi3data; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {"msgspec", "click", "numpy", "pyarrow", "pandas", "duckdb", "jinja2"}


def test_functions_stay_functions_after_everything_is_imported() -> None:
    """A sub-package named like a public function would replace it once imported."""
    import pkgutil

    modules = {module.name for module in pkgutil.iter_modules(phi3data.__path__)}
    assert not modules & set(NAMES)


def test_every_public_name_is_in_the_api_documentation() -> None:
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    for name in NAMES:
        assert f"`{name}" in text or f"phi3data.{name}" in text, name


def test_count_tokens_is_exact_with_a_tokenizer_and_an_estimate_without(shared: object) -> None:
    import numpy as np
    from tokenizers import Tokenizer

    folder = ROOT.parent / "shared" / "tokenizers" / "phi-3-mini"
    texts = ["Hello world", "", "  two  spaces\n\tx", "日本語", "<<48/2=24>>"]
    counts = phi3data.count_tokens(texts, tokenizer=str(folder))
    real = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert counts.tolist() == [len(real.encode(text, add_special_tokens=False).ids) for text in texts]
    assert counts.dtype == np.int64
    assert phi3data.count_tokens(texts).shape == (5,)
    small = phi3data.count_tokens(["Hello world, 12345"], tokenizer=str(folder.parent / "phi-3-small"))
    assert small.tolist() == [6]


OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def test_every_option_in_the_documentation_exists() -> None:
    import click

    from phi3data.cli import COMMANDS, group

    context = click.Context(group)
    known = {"--help", "--version"}

    def collect(command: click.Command) -> None:
        known.update(option for parameter in command.params for option in parameter.opts)
        if isinstance(command, click.Group) and command is not group:
            for inner in command.commands.values():
                collect(inner)

    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        collect(command)
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        if path.name == "benchmarks.md":
            continue
        for found in re.findall(r"phi3data [^\n`]*", path.read_text("utf-8")):
            unknown = set(OPTION.findall(found)) - known
            assert not unknown, (path.name, found)
            word = found.split()[1]
            assert not word.isalpha() or word in COMMANDS or word not in {"prepare", "check"}, (path.name, found)


def test_the_documented_recipe_is_the_one_that_init_writes() -> None:
    from phi3data.engine.recipe import Recipe, to_toml

    text = (ROOT / "docs" / "recipe.md").read_text("utf-8")
    assert f"```toml\n{to_toml(Recipe(), comments=True)}```" in text


def test_the_documented_formats_are_those_of_the_registry() -> None:
    from phi3data.sources.formats import FORMATS

    text = (ROOT / "docs" / "formats.md").read_text("utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE) == list(FORMATS)


def test_the_documented_ledger_is_the_one_that_is_written() -> None:
    from phi3data.engine.write import LEDGER

    text = (ROOT / "docs" / "outputs.md").read_text("utf-8")
    rows = re.findall(r"^\| (`[^|]+) \| (?:string|int)", text, re.MULTILINE)
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == LEDGER.names


def test_the_page_of_models_is_made_from_the_table() -> None:
    from scripts.write_model_docs import page

    assert (ROOT / "docs" / "models.md").read_text("utf-8") == page(), "run scripts/write_model_docs.py"
