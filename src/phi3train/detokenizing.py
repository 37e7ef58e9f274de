"""Token ids to text, piece by piece, as an answer is written."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

from phi3data.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")  # a byte of a character that the vocabulary does not have
_SIGN = "\ufffd"  # in the place of bytes that are no character, or not yet


class Detokenizer:
    """The text of one answer. What was returned is never taken back, and a character of which bytes lack is held.

    Bytes that make no character are shown as one sign. The tokenizer itself then shows the whole run of bytes around
    them as signs, also those that were shown as characters before, which is why its own stream ends with an error.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._silent = {id_ for id_, token in tokenizer.get_added_tokens_decoder().items() if token.special}
        self._bytes = getincrementaldecoder("utf-8")("replace")
        self._before: list[int] = []  # the first ids that have a text: the blank before a word is kept behind them
        self._skipped = 0  # characters of their text
        self._pending: list[int] = []
        self._shown = 0  # characters of the pending ids' text that were returned

    def add(self, id_: int) -> str:
        """Return the text that a further token makes certain."""
        if id_ in self._silent:
            return ""
        found = _BYTE.fullmatch(self._tokenizer.id_to_token(id_) or "")
        if found is not None and self._tokenizer.decode([id_]) != found[0]:
            piece = self._rest() + self._bytes.decode(bytes.fromhex(found[1]))
            self._settle([id_])
            return piece
        piece = self._bytes.decode(b"", final=True)
        self._pending.append(id_)
        text = self._text()
        certain = text.removesuffix(_SIGN)
        piece += certain[self._shown :]
        self._shown = len(certain)
        if text and certain == text:
            self._settle(self._pending)
        return piece

    def _text(self) -> str:
        return self._tokenizer.decode([*self._before, *self._pending])[self._skipped :]

    def _rest(self) -> str:
        return self._text()[self._shown :] if self._pending else ""

    def _settle(self, ids: list[int]) -> None:
        """Begin anew behind tokens whose text is at its end."""
        if not self._before:
            self._before = ids
            self._skipped = len(self._tokenizer.decode(ids))
        self._pending, self._shown = [], 0


def load(path: Path) -> Tokenizer:
    """Return the tokenizer in a file. Raises `InputError` where there is none."""
    if not path.is_file():
        raise InputError(f"{path}: is not there: export the bundle again")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 (the library raises nothing more exact)
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: is no tokenizer, or damaged: {reason}: export the bundle again") from None
