"""A tokenizer as it lies on the disk: its control tokens, its own chat template, and plain text to ids and back.

Files: tokenizer.json (any tokenizer of the `tokenizers` library) or *.tiktoken (ranks), and beside it
tokenizer_config.json and chat_template.jinja. Nothing is ever executed but the chat template, in jinja2's sandbox.
"""

from __future__ import annotations

import base64
import os
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from phi3data.errors import InputError, MissingExtraError, Phi3kitError
from phi3data.tokens.frame import Control, Controls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from phi3data.family import VocabularyProfile

_BATCH = 512  # texts per call: bounds the memory that encodings take
# How cl100k_base cuts text before its merges (published with tiktoken); Phi-3-small uses these ranks.
CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")


class Codec(Protocol):
    """Plain text to ids and back. What looks like a control token is text like any other."""

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text."""
        ...

    def spans(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Return ids, and for each the start and end of its text in code points."""
        ...

    def spelled(self, token: int) -> str:
        """Return what a token stands for, as the vocabulary writes it."""
        ...


class Vocabulary:
    """The tokenizer in a file; `known` are the control tokens of the model, for files that name none."""

    def __init__(self, path: Path, known: VocabularyProfile | None = None) -> None:
        """Read the files beside `path`. Raises `InputError` for one that cannot be read."""
        self.path = path
        self._config = _table(path.parent / "tokenizer_config.json")
        named = {key: self._config.get(key) for key in _SPECIAL}
        #: The special tokens that a chat template may name, by the names it uses: bos_token, eos_token, …
        self.special = {
            key: token["content"] if isinstance(token, dict) else token for key, token in named.items() if token
        }
        found = _added(_table(path).get("added_tokens")) if path.suffix == ".json" else _decoder(self._config)
        #: The control tokens.
        self.controls = Controls(found or controls_of(known).by_text)

    @cached_property
    def chat_template(self) -> str | None:
        """The tokenizer's own chat template, if it has one: chat_template.jinja, else the one in its configuration."""
        beside = self.path.parent / "chat_template.jinja"
        if beside.is_file():
            return _text(beside)
        given = self._config.get("chat_template")
        if isinstance(given, list):  # several, by name
            given = next((each.get("template") for each in given if each.get("name") == "default"), None)
        return given if isinstance(given, str) else None

    @cached_property
    def codec(self) -> Codec:
        """Plain text to ids. Raises `InputError` if the file cannot be read."""
        try:
            return _Tiktoken(self.path) if self.path.suffix == ".tiktoken" else _Tokenizers(self.path)
        except ImportError:
            raise MissingExtraError(f"reading {self.path.name}", "data") from None
        except Phi3kitError:
            raise
        except Exception as error:  # noqa: BLE001 (tokenizers raises bare Exception for a file it cannot parse)
            raise InputError(f"{self.path}: is no readable tokenizer: {error}") from None

    def spelled(self, token: int) -> str:
        """Return what an id stands for, control tokens included."""
        control = self._by_id.get(token)
        return control.text if control else self.codec.spelled(token)

    @cached_property
    def _by_id(self) -> dict[int, Control]:
        return {control.id: control for control in self.controls.by_text.values()}


@lru_cache(16)
def controls_of(known: VocabularyProfile | None) -> Controls:
    """Return the control tokens that the family's table knows of a model's vocabulary."""
    if known is None:
        return Controls({})
    return Controls(
        {text: Control(text, id_, rstrip=known.swallows(text)) for text, id_ in known.controls.items()},
    )


class _Tokenizers:
    def __init__(self, path: Path) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Tokenizer

        # Without its added tokens it reads every text as plain text.
        table = {**_table(path), "added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
        self._tokenizer: Any = Tokenizer.from_str(msgspec.json.encode(table).decode())

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        out: list[list[int]] = []
        for start in range(0, len(texts), _BATCH):
            batch = list(texts[start : start + _BATCH])
            out += [found.ids for found in self._tokenizer.encode_batch_fast(batch, add_special_tokens=False)]
        return out

    def spans(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        found = self._tokenizer.encode(text, add_special_tokens=False)
        return found.ids, found.offsets

    def spelled(self, token: int) -> str:
        return str(self._tokenizer.id_to_token(token))


class _Tiktoken:
    def __init__(self, path: Path) -> None:
        import tiktoken

        self._encoding = tiktoken.Encoding(path.stem, pat_str=CL100K, mergeable_ranks=ranks(path), special_tokens={})

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._encoding.encode_ordinary(text) for text in texts]

    def spans(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        ids = self._encoding.encode_ordinary(text)
        # Where each byte's character stands: a token may end inside a character.
        at = [number for number, character in enumerate(text) for _ in character.encode()] + [len(text)]
        spans, end = [], 0
        for token in self._encoding.decode_tokens_bytes(ids):
            start, end = end, end + len(token)
            spans.append((at[start], at[end - 1] + 1))
        return ids, spans

    def spelled(self, token: int) -> str:
        return self._encoding.decode_single_token_bytes(token).decode("utf-8", "backslashreplace")


def ranks(path: Path) -> dict[bytes, int]:
    """Read a .tiktoken file: the bytes of each token and its rank. Raises `InputError` if it is none."""
    try:
        return {
            base64.b64decode(token): int(rank)
            for token, rank in (line.split() for line in path.read_bytes().splitlines() if line)
        }
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is no readable tokenizer: {error}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def _table(path: Path) -> Mapping[str, Any]:
    """Return the JSON object in a file; an empty one if there is no such file."""
    if not path.is_file():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(f"{path}: is no readable tokenizer: {error}") from None


def _added(tokens: Any) -> dict[str, Control]:
    return {token["content"]: _control(token["content"], token["id"], token) for token in tokens or ()}


def _decoder(config: Mapping[str, Any]) -> dict[str, Control]:
    table = config.get("added_tokens_decoder") or {}
    return {token["content"]: _control(token["content"], int(id_), token) for id_, token in table.items()}


def _control(text: str, id_: int, flags: Mapping[str, Any]) -> Control:
    return Control(
        text,
        id_,
        lstrip=bool(flags.get("lstrip")),
        rstrip=bool(flags.get("rstrip")),
        single_word=bool(flags.get("single_word")),
    )
