"""An inspected row for programs: one JSON object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from phi3data.inspection.view import Inspection


def document(found: Inspection) -> dict[str, Any]:
    """Return what ``--json`` prints. `ids`, `mask`, `tokens` and `spans` are of one length, null without a tokenizer.

    `mask` is true where the loss is computed; a span is start and end in `rendered`, in code points.
    """
    ref = found.settings.tokenizer
    tokens = found.tokens
    return {
        "path": found.path,
        "row": found.number,
        "line": found.line,
        "conversation": found.sub or None,
        "format": found.format,
        "label": found.label,
        "model": found.settings.model,
        "template": found.template,
        "tokenizer": {
            "name": ref.name,
            "path": ref.path or None,
            "sha256": ref.sha256 or None,
            "revision": ref.revision or None,
            "estimated": ref.estimated,
            "note": ref.note or None,
        },
        "loss_on": found.settings.loss_on,
        "control_text": found.settings.control_text,
        "limit": found.settings.limit,
        "messages": [
            {
                "role": turn.role,
                "content": None if turn.pieces is None else "".join(piece.text for piece in turn.pieces),
                "tokens": turn.tokens,
                "rendered": turn.rendered and found.rendered is not None,
                "supervised": turn.supervised,
            }
            for turn in found.turns
        ],
        "rendered": found.rendered,
        "ids": None if tokens is None else [token.id for token in tokens],
        "mask": None if tokens is None else [token.supervised for token in tokens],
        "tokens": None if tokens is None else [token.name for token in tokens],
        "spans": None if tokens is None else [[token.start, token.end] for token in tokens],
        "counts": None if found.counts is None else msgspec.structs.asdict(found.counts),
        "findings": [msgspec.structs.asdict(finding) for finding in found.findings],
        "raw": found.excerpt or None,
    }
