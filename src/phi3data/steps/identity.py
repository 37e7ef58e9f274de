"""What many rows of plain messages equal, at once: `dedup.identify` of each, in its default scope, by kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from phi3data.chat import Conversation, Message
from phi3data.native import Kernels
from phi3data.room import Room
from phi3data.similarity.texts import SMALL_TEXT, Texts
from phi3data.steps.dedup import GREETING, Identity, identify
from phi3data.text.normalise import characters, normalise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

digest_kernel: Any = Kernels("phi3data.steps.digest_kernel")
identity_kernel: Any = Kernels("phi3data.steps.identity_kernel")
_LANES = 4  # texts that are digested at a time
_HEAD = 12  # bytes at most before a message in what is digested, with the one behind it
_ROLES = {"system": 0, "user": 1, "assistant": 2}


class Identities(NamedTuple):
    """The fields of `dedup.Identity` of each row, in arrays.

    `asked` counts where `answers`. The openings of row `n` are those from `opened[n]` to before `opened[n + 1]`.
    `size` is that of all texts of a row, in characters.
    """

    exact: NDArray[np.uint64]  # of shape (rows, 2)
    normalised: NDArray[np.uint64]  # likewise
    prompt: NDArray[np.uint64]
    asked: NDArray[np.uint64]
    answers: NDArray[np.bool_]
    openings: NDArray[np.uint64]
    opened: NDArray[np.int64]
    size: NDArray[np.int64]


def normal(texts: Texts, room: Room | None = None) -> Texts:
    """Return `normalise` of each text, in `room`; these texts are as they are."""
    known = characters()
    beyond = np.empty(len(texts.ends) - 1, np.bool_)
    identity_kernel.beyond(texts.data, texts.ends, known, beyond)
    which = np.flatnonzero(beyond)
    data = texts.data.data
    places = zip(texts.ends[which].tolist(), texts.ends[which + 1].tolist(), strict=True)
    others = [normalise(str(data[start:end], "utf-8")).encode() for start, end in places]
    other_ends = _ends([len(text) for text in others])
    out = (room or Room()).take("normal", len(texts.data) + int(other_ends[-1]))
    ends = np.zeros(len(texts.ends), np.int64)
    joined = np.frombuffer(b"".join(others), np.uint8)
    identity_kernel.fold(texts.data, texts.ends, joined, other_ends, which, known, out, ends)
    return Texts(out, ends)


def sides(normal: Texts, roles: NDArray[np.uint8], rows: NDArray[np.int64], room: Room | None = None) -> Texts:
    """Return two texts a row, of what is asked and of what is answered, from the normal forms of the messages.

    They stand in `room`.
    """
    data = (room or Room()).take("sides", int(normal.ends[-1]) + len(roles))
    ends = np.zeros(2 * len(rows) - 1, np.int64)
    identity_kernel.sides(normal.data, normal.ends, roles, rows, data, ends)
    return Texts(data, ends)


def identities(
    texts: Texts, normal: Texts, roles: NDArray[np.uint8], rows: NDArray[np.int64], room: Room | None = None
) -> Identities:
    """Say what rows equal whose messages are a role (0 to 2: system, user, assistant) and a text each.

    Those of row `n` are the messages from `rows[n]` to before `rows[n + 1]`. What is digested stands in `room`.
    """
    count = len(rows) - 1
    exact, normalised = np.zeros((count, 2), np.uint64), np.zeros((count, 2), np.uint64)
    prompt, asked = np.zeros(count, np.uint64), np.zeros(count, np.uint64)
    answers, size = np.zeros(count, np.bool_), np.zeros(count, np.int64)
    openings, opened = np.empty(len(roles), np.uint64), np.zeros(count + 1, np.int64)
    chains = (room or Room()).take("chains", len(texts.data) + 2 * int(normal.ends[-1]) + 3 * _HEAD * len(roles))
    begins, firsts = np.empty(3 * count, np.int64), np.zeros(3 * count + 1, np.int64)
    cuts, starts = np.empty(len(roles) + 4 * count, np.int64), np.empty(int(np.diff(rows).max(initial=0)) + 1, np.int64)
    identity_kernel.chains(*texts, *normal, roles, rows, GREETING, chains, begins, firsts, cuts, size, starts)
    digests = np.empty((int(firsts[-1]), 2), np.uint64)
    digest_kernel.digests(
        chains, begins, firsts, cuts, digests, np.zeros(160, np.uint64), np.empty((3, _LANES), np.int64)
    )
    made = (prompt, asked, answers, openings, opened)
    identity_kernel.identify(roles, rows, firsts, digests, exact, normalised, *made)
    return Identities(exact, normalised, prompt, asked, answers, openings[: opened[-1]], opened, size)


def identify_all(talks: Sequence[Conversation], *, with_label: bool) -> list[Identity]:
    """Return `identify` of each conversation in the default scope, those of plain messages by kernels."""
    plain = [number for number, talk in enumerate(talks) if _is_plain(talk, with_label=with_label)]
    turns = [turn for number in plain for turn in talks[number].messages]
    try:
        said = [(turn.content or "").encode() for turn in turns]
    except UnicodeEncodeError:  # a surrogate somewhere
        return [identify(talk, with_label=with_label) for talk in talks]
    # Of bytes that can be changed, as in `Bare`: for others numba would compile the kernels once more.
    texts = Texts(np.frombuffer(bytearray().join(said), np.uint8), _ends([len(text) for text in said]))
    roles = np.array([_ROLES[turn.role] for turn in turns], np.uint8)
    rows = _ends([len(talks[number].messages) for number in plain])
    alike = normal(texts)
    made = zip(plain, _listed(identities(texts, alike, roles, rows), sides(alike, roles, rows)), strict=True)
    known = dict(made)
    return [known.get(number) or identify(talk, with_label=with_label) for number, talk in enumerate(talks)]


def compile_kernels(size: int) -> None:
    """Compile the kernels for texts of `size` code points, as `similarity.texts.compile_kernels` does."""
    if size > SMALL_TEXT:
        identify_all([Conversation([Message("user", "one"), Message("assistant", "two")])], with_label=False)


def _ends(sizes: list[int]) -> NDArray[np.int64]:
    """Return where things of these sizes begin and end that follow one another."""
    return np.append(0, np.cumsum(sizes, dtype=np.int64))


def _is_plain(talk: Conversation, *, with_label: bool) -> bool:
    if talk.tools or (with_label and talk.label):
        return False
    return not any(
        turn.tool_calls or turn.function_call or turn.name or turn.weight is not None or turn.role not in _ROLES
        for turn in talk.messages
    )


def _listed(found: Identities, texts: Texts) -> Iterator[Identity]:
    data, ends, openings = texts.data.data, texts.ends.tolist(), found.openings.tolist()
    columns = (found.exact, found.normalised, found.prompt, found.asked, found.answers, found.opened[:-1])
    listed = zip(*(column.tolist() for column in columns), found.opened[1:].tolist(), strict=True)
    for row, (exact, same, prompt, asked, answers, start, end) in enumerate(listed):
        asks, answer, stop = ends[2 * row : 2 * row + 3]
        both = str(data[asks:answer], "utf-8").rstrip(" "), str(data[answer:stop], "utf-8").rstrip(" ")
        yield Identity(tuple(exact), tuple(same), prompt, asked if answers else None, openings[start:end], both)
