"""A tokenizer as it lies on the disk: its control tokens, its own chat template, and plain text to ids and back.

Files: tokenizer.json (any tokenizer of the `tokenizers` library) or *.tiktoken (ranks), and beside it
tokenizer_config.json and chat_template.jinja. Nothing is ever executed but the chat template, in jinja2's sandbox.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from phi3data.errors import InputError, MissingExtraError, Phi3kitError
from phi3data.tokens.exact.kinds import CL100K
from phi3data.tokens.exact.library import read_json, read_ranks
from phi3data.tokens.frame import Control, Controls, controls_of, is_control

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from phi3data.family import VocabularyProfile

_BATCH = 512  # texts per call: bounds the memory that encodings take
_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")


class Codec(Protocol):
    """Plain text to ids and back. What looks like a control token is text like any other.

    Some tokenizers treat the very start of a row in another way than a text after a control token (they put a ▁ there);
    `apart` says so.
    """

    apart: bool

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of texts, none of which starts a row."""
        ...

    def spans(self, text: str, *, first: bool = False) -> tuple[list[int], list[tuple[int, int]]]:
        """Return ids, and for each the start and end of its text in code points; `first` text starts a row."""
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
            key: text
            for key, token in named.items()
            if isinstance(text := token.get("content") if isinstance(token, dict) else token, str)
        }
        try:
            found = _added(_table(path)) if path.suffix == ".json" else _decoder(self._config)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise InputError(f"{path}: is no readable tokenizer: its added tokens are not of the usual form") from None
        known_end = known.end_of_text if known else ""
        #: The control tokens.
        self.controls = Controls(found or controls_of(known).by_text, {self.special.get("eos_token", ""), known_end})

    @cached_property
    def chat_template(self) -> str | None:
        """The tokenizer's own chat template, if it has one: chat_template.jinja, else the one in its configuration."""
        beside = self.path.parent / "chat_template.jinja"
        if beside.is_file():
            return _text(beside)
        given = self._config.get("chat_template")
        if isinstance(given, list):  # several, by name
            named = {each.get("name"): each.get("template") for each in given if isinstance(each, dict)}
            given = named.get("default")
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


def plain(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tokenizer.json that reads every text as plain text: without its control tokens, and nothing added."""
    added = [token for token in table.get("added_tokens") or () if not is_control(token)]
    return {**table, "added_tokens": added, "post_processor": None, "truncation": None, "padding": None}


def inside(table: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a tokenizer.json that reads a text as after a control token; None if that makes no difference."""
    pre = table.get("pre_tokenizer") or {}
    steps = pre.get("pretokenizers") or [pre]
    if not any(step.get("type") == "Metaspace" and step.get("prepend_scheme") == "first" for step in steps):
        return None
    changed = [{**step, "prepend_scheme": "never"} if step.get("prepend_scheme") == "first" else step for step in steps]
    return {**table, "pre_tokenizer": {**pre, "pretokenizers": changed} if "pretokenizers" in pre else changed[0]}


def plain_is_special(path: Path) -> bool:
    """Tell whether reading text as plain, inside a row, is more than leaving out all added tokens."""
    if path.suffix != ".json":
        return False
    table = plain(read_json(path))
    return bool(table["added_tokens"]) or inside(table) is not None


class _Tokenizers:
    def __init__(self, path: Path) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Tokenizer

        table = plain(_table(path))
        self._tokenizer: Any = Tokenizer.from_str(msgspec.json.encode(table).decode())
        inner = inside(table)
        self._inside: Any = Tokenizer.from_str(msgspec.json.encode(inner).decode()) if inner else self._tokenizer
        self.apart = inner is not None
        # Without the control tokens the library numbers the other added tokens anew.
        self._ids = {self._tokenizer.token_to_id(token["content"]): token["id"] for token in table["added_tokens"]}

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        out: list[list[int]] = []
        for start in range(0, len(texts), _BATCH):
            batch = list(texts[start : start + _BATCH])
            out += [found.ids for found in self._inside.encode_batch_fast(batch, add_special_tokens=False)]
        return [self._renamed(ids) for ids in out] if self._ids else out

    def _renamed(self, ids: list[int]) -> list[int]:
        return [self._ids.get(id_, id_) for id_ in ids]

    def spans(self, text: str, *, first: bool = False) -> tuple[list[int], list[tuple[int, int]]]:
        found = (self._tokenizer if first else self._inside).encode(text, add_special_tokens=False)
        return self._renamed(found.ids) if self._ids else found.ids, found.offsets

    def spelled(self, token: int) -> str:
        own = {renamed: id_ for id_, renamed in self._ids.items()}
        return str(self._tokenizer.id_to_token(own.get(token, token)))


class _Tiktoken:
    apart = False

    def __init__(self, path: Path) -> None:
        import tiktoken

        ranks = read_ranks(path)
        self._encoding = tiktoken.Encoding(path.stem, pat_str=CL100K, mergeable_ranks=ranks, special_tokens={})

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._encoding.encode_ordinary(text) for text in texts]

    def spans(self, text: str, *, first: bool = False) -> tuple[list[int], list[tuple[int, int]]]:  # noqa: ARG002
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


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def _table(path: Path) -> Mapping[str, Any]:
    """Return the JSON object in a file; an empty one if there is no such file."""
    return read_json(path) if path.is_file() else {}


def _added(table: Mapping[str, Any]) -> dict[str, Control]:
    return {
        token["content"]: _control(token["id"], token) for token in table.get("added_tokens") or () if is_control(token)
    }


def _decoder(config: Mapping[str, Any]) -> dict[str, Control]:
    table = config.get("added_tokens_decoder") or {}
    return {token["content"]: _control(int(id_), token) for id_, token in table.items() if is_control(token)}


def _control(id_: int, flags: Mapping[str, Any]) -> Control:
    return Control(flags["content"], id_, lstrip=bool(flags.get("lstrip")), rstrip=bool(flags.get("rstrip")))
