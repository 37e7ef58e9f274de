"""Bedrock: chat messages whose content is a list of text blocks, under a top-level system prompt.

Example: ``{"system": [{"text": "Be brief."}], "messages": [{"role": "user", "content": [{"text": "Hi"}]}, …]}``

`system` may be a string, as Anthropic writes it. Rows of this format are read by the chat converter, which knows both.
"""

from __future__ import annotations

from phi3data.sources.formats.base import Format, Row
from phi3data.sources.formats.chat import convert


def recognises(row: Row) -> bool:
    """Tell whether the row has chat messages with a top-level system prompt or with untyped text blocks."""
    messages = row.get("messages")
    if not isinstance(messages, list):
        return False
    if row.get("system") is not None or row.get("schemaVersion") is not None:
        return True
    content = messages[0].get("content") if messages and isinstance(messages[0], dict) else None
    block = content[0] if isinstance(content, list) and content else None
    return isinstance(block, dict) and "text" in block and "type" not in block


FORMAT = Format(
    name="bedrock",
    title="Bedrock",
    fields=("messages", "system", "schemaVersion"),
    needs=("messages", "system"),
    recognises=recognises,
    convert=convert,
)
