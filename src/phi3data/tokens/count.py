"""Which tokenizer and chat template a run uses, and token counts of texts: exact, or estimated and saying so.

A tokenizer is looked for in this order: the directory or name given; the model's own in the local Hugging Face cache;
the hub, only when online is allowed. Without one the estimator of this package counts.

The chat template is the tokenizer's own where it has one, since that is what training and serving with it would use;
else the model's, as the family's table knows it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from phi3data.chat import Conversation, Message
from phi3data.errors import InputError, MissingExtraError, UsageError
from phi3data.family import TEMPLATES
from phi3data.family import model as model_named
from phi3data.family.template import TemplateError
from phi3data.tokens.frame import LOOKS_LIKE_CONTROL, controls_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3data.family import ModelProfile
    from phi3data.family.jinja import JinjaTemplate
    from phi3data.family.template import ChatTemplate
    from phi3data.tokens.frame import Controls
    from phi3data.tokens.vocabulary import Vocabulary


_FILES = ("tokenizer.json", "*.tiktoken", "tokenizer_config.json", "chat_template.jinja")


_LARGE = 20_000_000  # bytes: from here on several processes compile for longer than they count


class TokenizerRef(msgspec.Struct, frozen=True, kw_only=True):
    """Which tokenizer counts. Plain data, sent to workers; `path` is "" for the estimator."""

    name: str  # what the user calls it, or "estimate"
    path: str = ""
    sha256: str = ""
    revision: str = ""  # commit of the hub's repository, where it came from there
    template: str = ""  # the chat template: a name of the family, or the digest of the tokenizer's own
    note: str = ""  # what a user should know about the choice

    @property
    def estimated(self) -> bool:
        """Whether counts are estimates."""
        return not self.path


class Counter(Protocol):
    """Counts the tokens of texts, without special tokens."""

    def count(self, texts: Sequence[str], *, controls: bool = True) -> Sequence[int]:
        """Return the number of tokens of each text.

        With `controls` each text is a whole row, and the spelling of a control token counts as the tokenizer's file
        says: as that one token for a tokenizer.json, which lists them, as plain text for ranks, which know of none.
        Without, it is always plain text, and the text is one inside a row.
        """
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
                f"--tokenizer {tokenizer}: no such directory with a tokenizer.json or *.tiktoken, and not in the local "
                "Hugging Face cache: give a directory, or allow the download with --online"
            )
        return _ref(tokenizer, found, model)
    found = _in_cache(model.hub) or (_from_hub(model.hub) if online else None)
    return _ref(model.hub, found, model) if found else TokenizerRef(name="estimate", template=model.template.name)


def load(ref: TokenizerRef) -> Counter:
    """Return the counter for a tokenizer. Raises `InputError` if its file cannot be read."""
    if ref.estimated:
        return _Estimator()
    try:
        return _Exact(Path(ref.path))
    except ImportError:
        raise MissingExtraError(f"counting with {ref.name}", "data") from None


def compile_kernels(ref: TokenizerRef, size: int) -> None:
    """Compile the kernels that count `size` bytes, where they will be needed: once, before several processes would.

    They are kept on the disk, so that this takes a second where it has been done before.
    """
    if not ref.estimated and size > _LARGE:
        _Exact(Path(ref.path)).compile()


def template_of(ref: TokenizerRef) -> ChatTemplate:
    """Return the chat template that was chosen with the tokenizer."""
    known = TEMPLATES.get(ref.template)
    if known is not None:
        return known
    from phi3data.tokens.vocabulary import Vocabulary

    own = _own_template(Vocabulary(Path(ref.path)))
    assert own is not None, "a template that is none of the family's is the tokenizer's own"
    return own


def controls_for(ref: TokenizerRef, model: ModelProfile) -> Controls:
    """Return the control tokens: the tokenizer's, or those that are known of the model's vocabulary."""
    if ref.estimated:
        return controls_of(model.vocabulary)
    from phi3data.tokens.vocabulary import Vocabulary

    return Vocabulary(Path(ref.path), model.vocabulary).controls


class _Estimator:
    def count(self, texts: Sequence[str], *, controls: bool = True) -> list[int]:  # noqa: ARG002 (it knows of none)
        from phi3data.tokens.estimate import estimate

        return estimate(texts)


class _Exact:
    def __init__(self, path: Path) -> None:
        from phi3data.tokens.exact.counter import ExactCounter
        from phi3data.tokens.vocabulary import Vocabulary, plain_is_special

        self._path = path
        # Ranks know of no control tokens: to their library the spelling of one is text.
        self._counter = ExactCounter.from_file(path)
        # Words added to the vocabulary, or a ▁ at the start of a row only, are known to the codec.
        self._codec = Vocabulary(path).codec if plain_is_special(path) else None

    def compile(self) -> None:
        from phi3data.tokens.exact.counter import ExactCounter

        ExactCounter.from_file(self._path, small=0).count(["x"])

    def count(self, texts: Sequence[str], *, controls: bool = True) -> list[int]:
        if not controls and self._codec is not None:
            return [len(ids) for ids in self._codec.ids(texts)]
        counts: list[int] = self._counter.count(texts, controls=controls).tolist()
        return counts


def _ref(name: str, path: Path, model: ModelProfile) -> TokenizerRef:
    from hashlib import sha256

    from phi3data.tokens.vocabulary import Vocabulary

    revision = path.parent.name if path.parent.parent.name == "snapshots" else ""
    template, note = _choose(Vocabulary(path, model.vocabulary), model)
    return TokenizerRef(
        name=name,
        path=str(path),
        sha256=sha256(path.read_bytes()).hexdigest(),
        revision=revision,
        template=template.name,
        note=note,
    )


def _own_template(vocabulary: Vocabulary) -> JinjaTemplate | None:
    if vocabulary.chat_template is None:
        return None
    try:
        from phi3data.family.jinja import JinjaTemplate
    except ImportError:
        raise MissingExtraError(f"the chat template of {vocabulary.path.parent}", "data") from None
    try:
        return JinjaTemplate(vocabulary.chat_template, vocabulary.special)
    except InputError as error:
        raise InputError(f"{vocabulary.path.parent}: {error}") from None


def _choose(vocabulary: Vocabulary, model: ModelProfile) -> tuple[ChatTemplate, str]:
    """Return the chat template to render with, and what to tell the user about it."""
    own = _own_template(vocabulary)
    if own is None:
        return model.template, ""
    from phi3data.family.jinja import recognise

    known = recognise(own, (*model.templates, *TEMPLATES.values()))
    if known is None:
        unknown = _unknown_tokens(own, vocabulary)
        if unknown:
            return model.template, (
                f"the chat template in {vocabulary.path.parent} writes {unknown}, which is no control token of that "
                f"tokenizer: the template of {model.name} is used instead"
            )
        return own, f"the chat template in {vocabulary.path.parent} is not one of the Phi family: it is used as it is"
    if known not in model.templates:
        return known, f"the chat template in {vocabulary.path.parent} is '{known.name}', not that of {model.name}"
    return known, ""


def _unknown_tokens(template: JinjaTemplate, vocabulary: Vocabulary) -> str:
    """Return what looks like a control token in the template's own text and is none; "" if there is no such thing."""
    row = Conversation([Message("user", "Hi"), Message("assistant", "Hello!")])
    try:
        written = set(LOOKS_LIKE_CONTROL.findall("".join(template.render(row).literals)))
    except TemplateError:
        return ""
    return ", ".join(sorted(written - set(vocabulary.controls.by_text)))


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
        from huggingface_hub import snapshot_download
    except ImportError:
        raise MissingExtraError(f"downloading the tokenizer of {hub}", "train") from None
    try:
        return _in_directory(Path(snapshot_download(hub, allow_patterns=list(_FILES))))
    except Exception as error:  # noqa: BLE001 (whatever the network says, the user needs one sentence)
        raise InputError(f"{hub}: the tokenizer cannot be downloaded: {error}") from None
