"""Checks of the files of a bundle, whatever it is a bundle of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3train.export.bundle import MANIFEST, contents, read
from phi3train.verify.outcome import AGAIN, Outcome, failed, passed

if TYPE_CHECKING:
    from pathlib import Path

# What runs code when it is loaded: pickles by their usual endings, and Python itself.
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy")
_CODE = (".py", ".pyc", ".so", ".sh")
# A path of somebody's machine, in a string of a file: it helps nobody else and tells who made it.
_LOCAL = re.compile(
    r'["\'(\s](?:file://|/(?:home|root|Users|tmp|mnt|work|data|var|opt|srv)/|~/|[A-Za-z]:\\\\?(?!n))[^"\')\s]*'
)
# The same in an ONNX model, whose strings have no quotes around them, and whose nodes have names like /model/norm.
_LOCAL_IN_GRAPH = re.compile(
    rb"(?:file://|/(?:home|root|Users|tmp|mnt|work|data|var|opt|srv)/|[A-Za-z]:\\\w+\\)[\w./\\ -]{4,}"
)
_OF_PEOPLE = {"tokenizer.json", "test_request.json", "expected.json"}  # hold words of the data
_TEXT = (".json", ".md", ".yml", ".yaml", ".txt", ".jinja")


def unchanged(folder: Path) -> Outcome:
    """Every file of the manifest is there with its size and sha256, and no other one."""
    wanted, found = read(folder).files, contents(folder)
    missing = sorted(wanted.keys() - found.keys())
    more = sorted(found.keys() - wanted.keys())
    other = sorted(name for name in wanted.keys() & found.keys() if wanted[name] != found[name])
    said = [
        f"{what}: {', '.join(names)}"
        for what, names in (("missing", missing), ("not in the manifest", more), ("changed", other))
        if names
    ]
    if said:
        return failed("files", "; ".join(said), AGAIN)
    return passed("files", f"{len(wanted)} files as {MANIFEST} has them")


def safe(folder: Path) -> Outcome:
    """No pickle anywhere, and no code beside the weights."""
    names = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    pickles = [str(name) for name in names if name.suffix in _PICKLES]
    code = [str(name) for name in names if name.suffix in _CODE and name.parts[0] in ("model", "adapter")]
    if pickles or code:
        what = " and ".join(part for part, those in (("a pickle", pickles), ("code", code)) if those)
        return failed("safe", f"{', '.join(pickles + code)}: {what}, which runs when it is loaded", "remove it")
    return passed("safe", "no pickle, and no code beside the weights")


def local_paths(folder: Path) -> Outcome:
    """No file names a path of the machine that made it."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in _TEXT and path.is_file() and path.name not in _OF_PEOPLE:
            found = _LOCAL.search(path.read_text("utf-8", "replace"))
            if found is not None:
                where = path.relative_to(folder)
                return failed("paths", f"{where} names {found[0][1:].rstrip(chr(92))}", "export the run again")
        elif path.suffix == ".onnx":
            named = _LOCAL_IN_GRAPH.search(path.read_bytes())
            if named is not None:
                said = f"{path.relative_to(folder)} names {named[0].decode('utf-8', 'replace')}"
                return failed("paths", said, "export the run again")
    return passed("paths", "no file names a path of this machine")
