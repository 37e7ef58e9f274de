"""Step `dedup`: which rows say what another row says. Digests for what is equal, two texts for what is similar.

A row goes for one reason only, and always because of a row that is kept:

    exact, normalised  the same messages, as they are or after normalisation              D802
    near               similar by the shingles of their texts, verified on the text       D803
    conflict           the same prompt with another answer, where `conflicts` says so     D804
    prefix             the beginning of a longer conversation                             D809
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

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
GREETING = 24


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


class _Outline(NamedTuple):
    """What follows from the order of roles and the scope alone, as places of messages.

    `heads` is how each message begins in a digest. `cuts` are pairs: how many messages of those `within` stand before a
    digest that is wanted of them, and whether it is an opening, or else what is asked. `one_question` says that what is
    asked is the prompt: only questions stand before the only answer.
    """

    heads: tuple[str, ...]
    within: tuple[int, ...]
    asked: tuple[int, ...]
    answered: tuple[int, ...]
    cuts: tuple[tuple[int, bool], ...]
    one_question: bool


@lru_cache(4096)  # a data set has few orders of roles and many rows of each
def _outline(roles: tuple[str, ...], scope: Scope) -> _Outline:
    within = _within(roles, scope)
    last = max((place for place in within if roles[place] == "assistant"), default=-1)
    cuts: list[tuple[int, bool]] = []
    for number, place in enumerate(within):
        if place == last and number and scope != "answer":
            cuts.append((number, False))
        if scope == "conversation" and roles[place] == "assistant" and place != len(roles) - 1:
            cuts.append((number + 1, True))
    answered = tuple(place for place in within if roles[place] == "assistant")
    asked = tuple(place for place in within if roles[place] not in {"assistant", "system"})
    heads = tuple(f"\x1e{role}\x1f" for role in roles)
    one_question = scope == "conversation" and last > 0 and set(roles[:last]) == {"user"}
    return _Outline(heads, within, asked, answered, tuple(cuts), one_question)


def identify(conversation: Conversation, *, with_label: bool = False, scope: Scope = "conversation") -> Identity:
    """Return what decides whether two conversations are duplicates, or ask the same.

    For being equal all messages in the scope count, with their tool calls, and for the whole conversation the system
    prompt, the tools, and the label where labels are written out (`with_label`). The prompt is the opening without the
    system prompt: the messages up to the first answer, and further ones (never the last answer) while it is as short as
    a greeting. Two rows with one prompt must not stand in different splits.
    """
    messages = conversation.messages
    outline = _outline(tuple([message.role for message in messages]), scope)
    texts = [message.content or "" for message in messages]
    folded = [_folded(text) for text in texts]
    # What else a message holds; mostly nothing.
    extra = [_extra(message) for message in messages]
    whole = scope == "conversation"
    tools = msgspec.json.encode(conversation.tools, order="sorted") if whole and conversation.tools else b""
    label = (conversation.label or "").encode("utf-8", "surrogatepass") if whole and with_label else b""
    exact = blake2b(tools + _joined(outline, texts, extra), digest_size=16)
    chain = blake2b(tools, digest_size=16)
    asked: int | None = None
    openings: list[int] = []
    done = 0
    for cut, opening in outline.cuts:
        chain.update(_joined(outline, folded, extra, done, cut))
        done = cut
        if opening:
            openings.append(_halves(chain, label)[0])
        else:
            asked = _halves(chain, b"")[0]
    chain.update(_joined(outline, folded, extra, done))
    one_question = outline.one_question and not tools and not any(extra)
    return Identity(
        _halves(exact, label),
        _halves(chain, label),
        asked if one_question and asked is not None else _prompt_key(messages, folded),
        asked,
        openings,
        _sides(messages, folded, outline),
    )


def sides(messages: Sequence[Message], scope: Scope) -> tuple[str, str]:
    """Return the normalised texts of what is asked and of what is answered in the scope; system prompts are neither.

    Tool calls are answers, what tools return is asked.
    """
    folded = [_folded(message.content or "") for message in messages]
    return _sides(messages, folded, _outline(tuple([message.role for message in messages]), scope))


_SPACES = b"\t\n\v\f\r\x1c\x1d\x1e\x1f"
_FOLD = bytes.maketrans(_SPACES, b" " * len(_SPACES)).lower()


def _folded(text: str) -> str:
    """Return `normalise(text)`; of ASCII in a third of the time, since bytes are translated and no words are made."""
    if not text.isascii():
        return normalise(text)
    data = text.encode().translate(_FOLD)
    while b"  " in data:
        data = data.replace(b"  ", b" ")
    return data.strip(b" ").decode("ascii")


def _within(roles: Sequence[str], scope: Scope) -> tuple[int, ...]:
    """Return the places of the messages in the scope."""
    if scope == "conversation":
        return tuple(range(len(roles)))
    if scope == "last-turn":
        start = max((place for place, role in enumerate(roles) if role == "user"), default=0)
        return tuple(range(start, len(roles)))
    wanted = ("assistant",) if scope == "answer" else ("user", "tool")
    return tuple(place for place, role in enumerate(roles) if role in wanted)


def _sides(messages: Sequence[Message], folded: list[str], outline: _Outline) -> tuple[str, str]:
    return _side(messages, folded, outline.asked), _side(messages, folded, outline.answered)


def _side(messages: Sequence[Message], folded: list[str], places: tuple[int, ...]) -> str:
    texts: list[str] = []
    for place in places:
        texts.append(folded[place])
        if messages[place].tool_calls or messages[place].function_call:
            texts.append(_calls(messages[place]))
    return " ".join(texts)


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


def _joined(outline: _Outline, texts: list[str], extra: list[str], start: int = 0, end: int | None = None) -> bytes:
    """Return the messages within the scope, from the `start`th to before the `end`th of them, as bytes."""
    heads = outline.heads
    places = outline.within[start:end]
    return "".join([f"{heads[at]}{texts[at]}\x1f{extra[at]}" for at in places]).encode("utf-8", "surrogatepass")


def _prompt_key(messages: Sequence[Message], folded: list[str]) -> int:
    parts: list[str] = []
    length = 0
    last = max([place for place, message in enumerate(messages) if message.role == "assistant"], default=len(messages))
    for message, text in zip(messages[:last], folded, strict=False):
        if message.role == "system":
            continue
        if message.role == "assistant" and length >= GREETING:
            break
        parts.append(f"\x1e{message.role}\x1f{text}\x1f")
        length += len(text)
    return _halves(blake2b("".join(parts).encode("utf-8", "surrogatepass"), digest_size=16), b"")[0]


_two_halves = Struct(">QQ").unpack


def _halves(chain: Any, end: bytes) -> tuple[int, int]:
    """Return the digest of a chain with something at its end, which then is not in the chain."""
    if end:
        chain = chain.copy()
        chain.update(b"\x1d" + end)
    high, low = _two_halves(chain.digest())
    return high, low
