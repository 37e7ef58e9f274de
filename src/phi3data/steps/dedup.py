"""Step `dedup`: which rows say what another row says. Digests for what is equal, two texts for what is similar.

A row goes for one reason only, and always because of a row that is kept:

    exact, normalised  the same messages, as they are or after normalisation              D802
    near               similar by the shingles of their texts, verified on the text       D803
    conflict           the same prompt with another answer, where `conflicts` says so     D804
    prefix             the beginning of a longer conversation                             D809
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from phi3data.text.normalise import normalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3data.chat import Conversation, Message

Scope = Literal["conversation", "prompt", "answer", "last-turn"]
#: Pairs that are less similar than the threshold, but by no more than this, are saved and share a split.
MARGIN = 0.1
CODES = {"exact": "D802", "normalised": "D802", "near": "D803", "conflict": "D804", "prefix": "D809"}


class DedupConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which rows are duplicates and which of them is kept."""

    enabled: Annotated[bool, Meta(description="Run this step.")] = True
    match: Annotated[
        Literal["exact", "normalised", "near"],
        Meta(
            description='"exact"; "normalised": Unicode NFKC, case and white space do not count; or "near": similar '
            "texts too."
        ),
    ] = "near"
    threshold: Annotated[
        float,
        Meta(description="How similar near duplicates are: the Jaccard index of 5-word shingles.", ge=0.7, le=1),
    ] = 0.8
    scope: Annotated[
        Scope,
        Meta(
            description='What is compared: the "conversation" (questions with questions, answers with answers), the '
            '"prompt" (what is asked), the "answer" or the "last-turn".'
        ),
    ] = "conversation"
    keep: Annotated[
        str,
        Meta(
            description='Of duplicates keep the "first", the "longest", the "newest" (last in the inputs) or the one '
            'with the highest number in a column ("best:COLUMN"); then the first.',
            pattern="^(first|longest|newest|best:.+)$",
        ),
    ] = "first"
    prefixes: Annotated[bool, Meta(description="Drop conversations that are the beginning of a longer one.")] = True
    conflicts: Annotated[
        Literal["keep", "best", "drop"],
        Meta(description='Different answers to one prompt: "keep" all, keep the "best" by `keep`, or "drop" all.'),
    ] = "keep"

    @property
    def column(self) -> str | None:
        """The column whose highest number is kept, if there is one."""
        return self.keep.removeprefix("best:") if self.keep.startswith("best:") else None


# Openings shorter than this (in normalised characters) are greetings; what follows them makes the prompt.
_GREETING = 24


class Identity(msgspec.Struct, frozen=True):
    """What a conversation equals, as 128-bit digests in halves, and 64-bit keys of parts of it.

    `prompt` is its opening question, `asked` everything before its last answer (None where nothing is answered).
    `openings` are the keys of its beginnings that end with an answer: another conversation is one of them if the upper
    half of its normalised digest is. `sides` are the two texts that similarity is about: asked, and answered.
    """

    exact: tuple[int, int]
    normalised: tuple[int, int]
    prompt: int
    asked: int | None
    openings: list[int]
    sides: tuple[str, str]


def identify(conversation: Conversation, *, with_label: bool = False, scope: Scope = "conversation") -> Identity:
    """Return what decides whether two conversations are duplicates, or ask the same.

    For being equal all messages in the scope count, with their tool calls, and for the whole conversation the system
    prompt, the tools, and the label where labels are written out (`with_label`). The prompt is the opening without the
    system prompt: the messages up to the first answer, and further ones (never the last answer) while it is as short as
    a greeting. Two rows with one prompt must not stand in different splits.
    """
    messages = conversation.messages
    folded = [normalise(message.content or "") for message in messages]
    within = _within(messages, scope)
    extra = {place: _extra(messages[place]) for place in within}
    whole = scope == "conversation"
    tools = msgspec.json.encode(conversation.tools, order="sorted") if whole and conversation.tools else b""
    label = (conversation.label or "").encode("utf-8", "surrogatepass") if whole and with_label else b""
    exact = blake2b(tools, digest_size=16)
    exact.update(_joined([(messages[place].role, messages[place].content or "", extra[place]) for place in within]))
    chain = blake2b(tools, digest_size=16)
    last = max((place for place in within if messages[place].role == "assistant"), default=-1)
    asked: int | None = None
    openings: list[int] = []
    waiting: list[tuple[str, str, str]] = []  # messages that are not in the chain yet
    for place in within:
        role = messages[place].role
        if place == last and place != within[0] and scope != "answer":
            chain.update(_joined(waiting))
            waiting.clear()
            asked = _halves(chain, b"")[0]
        waiting.append((role, folded[place], extra[place]))
        if whole and role == "assistant" and place != len(messages) - 1:
            chain.update(_joined(waiting))
            waiting.clear()
            openings.append(_halves(chain, label)[0])
    chain.update(_joined(waiting))
    return Identity(
        _halves(exact, label),
        _halves(chain, label),
        _prompt_key(messages, folded),
        asked,
        openings,
        _sides(messages, folded, within),
    )


def sides(messages: Sequence[Message], scope: Scope) -> tuple[str, str]:
    """Return the normalised texts of what is asked and of what is answered in the scope; system prompts are neither.

    Tool calls are answers, what tools return is asked.
    """
    return _sides(messages, [normalise(message.content or "") for message in messages], _within(messages, scope))


def _within(messages: Sequence[Message], scope: Scope) -> list[int]:
    """Return the places of the messages in the scope."""
    if scope == "conversation":
        return list(range(len(messages)))
    if scope == "last-turn":
        start = max((place for place, message in enumerate(messages) if message.role == "user"), default=0)
        return list(range(start, len(messages)))
    roles = ("assistant",) if scope == "answer" else ("user", "tool")
    return [place for place, message in enumerate(messages) if message.role in roles]


def _sides(messages: Sequence[Message], folded: list[str], within: list[int]) -> tuple[str, str]:
    asked: list[str] = []
    answered: list[str] = []
    for place in within:
        message = messages[place]
        if message.role == "system":
            continue
        side = answered if message.role == "assistant" else asked
        side.append(folded[place])
        if message.tool_calls or message.function_call:
            side.append(_calls(message))
    return " ".join(asked), " ".join(answered)


def _calls(message: Message) -> str:
    """Return the calls of a message without their identifiers, which differ wherever the same is called."""
    calls: list[Any] = [
        call.get("function", call) if isinstance(call, dict) else call for call in message.tool_calls or ()
    ]
    return normalise(msgspec.json.encode([*calls, message.function_call], order="sorted").decode())


def _extra(message: Message) -> str:
    if (
        message.role == "tool"
        or message.tool_calls
        or message.function_call
        or message.name
        or message.weight is not None
    ):
        parts = (message.tool_calls, message.function_call, message.name, message.weight, message.tool_call_id)
        return msgspec.json.encode(parts, order="sorted").decode()
    return ""


def _joined(parts: Sequence[tuple[str, str, str]]) -> bytes:
    return "".join([f"\x1e{role}\x1f{text}\x1f{extra}" for role, text, extra in parts]).encode("utf-8", "surrogatepass")


def _prompt_key(messages: Sequence[Message], folded: list[str]) -> int:
    parts: list[tuple[str, str, str]] = []
    length = 0
    last = max((place for place, message in enumerate(messages) if message.role == "assistant"), default=len(messages))
    for place, message in enumerate(messages):
        if message.role == "system":
            continue
        if place >= last or (message.role == "assistant" and length >= _GREETING):
            break
        parts.append((message.role, folded[place], ""))
        length += len(folded[place])
    return _halves(blake2b(_joined(parts), digest_size=16), b"")[0]


def _halves(chain: Any, end: bytes) -> tuple[int, int]:
    """Return the digest of a chain with something at its end, which then is not in the chain."""
    if end:
        chain = chain.copy()
        chain.update(b"\x1d" + end)
    digest = chain.digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")
