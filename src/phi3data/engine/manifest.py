"""The manifest: what went in, what came out, and everything that decided how. The same run gives the same manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.engine.given import GIVEN
from phi3data.engine.work import OUTPUTS
from phi3data.sources.files import digest, whole
from phi3data.version import VERSION

if TYPE_CHECKING:
    from phi3data.engine.local import Run


def write_manifest(run: Run, counts: dict[str, Any]) -> None:
    """Write manifest.json beside the complete outputs; call it last."""
    outputs = {}
    for name in OUTPUTS:
        path = run.final / name
        if path.exists() and name != "manifest.json":
            outputs[name] = {"sha256": digest(path), "bytes": path.stat().st_size}
    manifest = {
        "manifest": 1,
        "phi3kit": VERSION,
        "inputs": [
            {
                "path": source.name,
                "sha256": sha256,
                "container": source.container,
                "format": source.format,
                "rename": source.rename,
                "notes": list(source.notes),
                "given": GIVEN[place],
            }
            for source, sha256, place in zip(run.sources, run.input_sha256, run.given, strict=True)
        ],
        "outputs": outputs,
        "counts": counts,
        "recipe": msgspec.to_builtins(run.recipe),
        "seed": run.recipe.split.seed,
        "tokenizer": {
            "name": run.tokenizer.name,
            "sha256": run.tokenizer.sha256 or None,
            "revision": run.tokenizer.revision or None,
            "estimated": run.tokenizer.estimated,
            "template": run.tokenizer.template,
        },
    }
    with whole(run.final / "manifest.json") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
