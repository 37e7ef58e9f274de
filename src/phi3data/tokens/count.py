"""Token counts of texts: exact with a tokenizer, estimated without one, and which of the two it is.

A tokenizer is looked for in this order: the directory or name given; the model's own in the local Hugging Face cache;
the hub, only when online is allowed. Without one the estimator of this package counts, and says so.
"""

from __future__ import annotations

import base64
import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from phi3data.errors import InputError, MissingExtraError, Phi3kitError, UsageError
from phi3data.family import model as model_named
from phi3data.tokens.estimate import estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiktoken import Encoding
    from tokenizers import Tokenizer

    from phi3data.family import ModelProfile

_BATCH = 512  # texts per call: bounds the memory that encodings take
# How cl100k_base cuts text before its merges (published with tiktoken); Phi-3-small uses these ranks.
_CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class TokenizerRef(msgspec.Struct, frozen=True, kw_only=True):
    """Which tokenizer counts. Plain data, sent to workers; `path` is "" for the estimator."""

    name: str  # what the user calls it, or "estimate"
    path: str = ""
    sha256: str = ""
    revision: str = ""  # commit of the hub's repository, where it came from there

    @property
    def estimated(self) -> bool:
        """Whether counts are estimates."""
        return not self.path


class Counter(Protocol):
    """Counts the content tokens of texts, without special tokens."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text."""
        ...


def resolve(tokenizer: str | None, model: ModelProfile, *, online: bool = False) -> TokenizerRef:
    """Find the tokenizer to count with.

    Raises `UsageError` when a tokenizer was named and cannot be found; without a name the estimator stands in.
    """
    if tokenizer is not None:
        found = _in_directory(Path(tokenizer)) or _in_cache(_hub_name(tokenizer))
        if found is None and online:
            found = _from_hub(_hub_name(tokenizer))
        if found is None:
            raise UsageError(
                f"--tokenizer {tokenizer}: no such directory with a tokenizer.json, and not in the local Hugging Face "
                "cache: give a directory, or allow the download with --online"
            )
        return _ref(tokenizer, found)
    found = _in_cache(model.hub) or (_from_hub(model.hub) if online else None)
    return _ref(model.hub, found) if found else TokenizerRef(name="estimate")


def load(ref: TokenizerRef) -> Counter:
    """Return the counter for a tokenizer. Raises `InputError` if its file cannot be read."""
    if ref.estimated:
        return _Estimator()
    try:
        return _Tiktoken(Path(ref.path)) if ref.path.endswith(".tiktoken") else _Tokenizers(Path(ref.path))
    except ImportError:
        raise MissingExtraError(f"counting with {ref.name}", "data") from None
    except Phi3kitError:
        raise
    except Exception as error:  # noqa: BLE001 (tokenizers raises bare Exception for a file it cannot parse)
        raise InputError(f"{ref.path}: is no readable tokenizer: {error}") from None


class _Estimator:
    def count(self, texts: Sequence[str]) -> list[int]:
        return estimate(texts)


class _Tokenizers:
    def __init__(self, path: Path) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Tokenizer

        self._tokenizer: Tokenizer = Tokenizer.from_file(str(path))

    def count(self, texts: Sequence[str]) -> list[int]:
        out: list[int] = []
        for start in range(0, len(texts), _BATCH):
            batch = list(texts[start : start + _BATCH])
            out += [len(found) for found in self._tokenizer.encode_batch_fast(batch, add_special_tokens=False)]
        return out


class _Tiktoken:
    def __init__(self, path: Path) -> None:
        import tiktoken

        ranks = {
            base64.b64decode(token): int(rank)
            for token, rank in (line.split() for line in path.read_bytes().splitlines() if line)
        }
        self._encoding: Encoding = tiktoken.Encoding(
            path.stem, pat_str=_CL100K, mergeable_ranks=ranks, special_tokens={}
        )

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(self._encoding.encode_ordinary(text)) for text in texts]


def _ref(name: str, path: Path) -> TokenizerRef:
    revision = path.parent.name if path.parent.parent.name == "snapshots" else ""
    return TokenizerRef(name=name, path=str(path), sha256=sha256(path.read_bytes()).hexdigest(), revision=revision)


def _in_directory(path: Path) -> Path | None:
    if path.is_file() and (path.name.endswith(".tiktoken") or path.suffix == ".json"):
        return path
    if not path.is_dir():
        return None
    return next((item for pattern in ("tokenizer.json", "*.tiktoken") for item in sorted(path.glob(pattern))), None)


def _hub_name(name: str) -> str:
    try:
        return model_named(name).hub
    except UsageError:
        return name


def _in_cache(hub: str) -> Path | None:
    """Look into the local cache of huggingface_hub, without importing it."""
    home = os.environ.get("HF_HOME") or str(
        Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "huggingface"
    )
    root = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub") / f"models--{hub.replace('/', '--')}"
    try:
        revision = (root / "refs" / "main").read_text("utf-8").strip()
    except OSError:
        return None
    return _in_directory(root / "snapshots" / revision)


def _from_hub(hub: str) -> Path | None:
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise MissingExtraError(f"downloading the tokenizer of {hub}", "train") from None
    try:
        return Path(hf_hub_download(hub, "tokenizer.json"))
    except Exception as error:  # noqa: BLE001 (whatever the network says, the user needs one sentence)
        raise InputError(f"{hub}: the tokenizer cannot be downloaded: {error}") from None
