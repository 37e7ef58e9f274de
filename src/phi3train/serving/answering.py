"""The model of a bundle as what answers: a conversation to ids, ids to text, piece by piece."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import torch

from phi3data.chat import Conversation, Message
from phi3data.errors import InputError, UsageError
from phi3data.family.template import TemplateError
from phi3data.tokens.encode import encoder
from phi3train.config import Config, ModelConfig
from phi3train.detokenizing import Detokenizer, load
from phi3train.export.bundle import read, read_json
from phi3train.generation import write
from phi3train.loading import load_model
from phi3train.models import find
from phi3train.serving.chat import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from phi3train.plan.memory import Precision


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer is drawn, and where it ends: without `max_tokens` with the context. A seed of None is a new one."""

    max_tokens: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stops: tuple[str, ...] = ()


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is at its end: its tokens, the one that ends it included, and whether it ended by itself."""

    tokens: int
    reason: Literal["stop", "length"]


class Answering:
    """A bundle's model on a device. One answer at a time: the caller sees to that."""

    def __init__(self, bundle: Path, device: str) -> None:
        """Load it. Raises `UsageError` for a folder that answers no chats, `InputError` for one that is damaged."""
        said = read(bundle)
        folder = bundle / "model"
        facts = said.facts
        self.name = said.name
        self.model = find(ModelConfig(name=facts.get("model") or said.base_model, path=str(folder)))
        self.context = self.model.context
        self._tokenizer = load(folder / "tokenizer.json")
        self._encoder = encoder(self.model.tokenizer, self.model.profile)
        self._ends, self._pad = _ends(folder)
        # In float32 a CPU is faster, and answers as when the bundle was made; a GPU computes as the weights are kept.
        precision: Precision = "bf16" if device == "cuda" and facts.get("dtype") == "bfloat16" else "fp32"
        config = Config(model=ModelConfig(path=str(folder), attention="sdpa", kernels="torch"))
        self._weights: Any = load_model(config, self.model, precision, device).eval()

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Return the ids that ask for the next answer of a conversation, as the model was trained to read them.

        What people spell like a control token stays text. Raises `RefusalError` where the chat template cannot write
        the conversation (400), or no token of an answer has room after it (413).
        """
        asked = Conversation([*messages, Message("assistant", "x")])
        try:
            encoded = self._encoder.encode(asked, loss_on="last")
        except TemplateError as error:
            raise RefusalError(400, f"messages: {error.finding.message}", param="messages") from None
        except InputError as error:
            raise RefusalError(400, f"messages: {error}", param="messages") from None
        ids = encoded.ids[: encoded.mask.index(True)]
        if len(ids) >= self.context:
            raise RefusalError(
                413,
                f"the messages are {len(ids):,} tokens long, and messages and answer together have {self.context:,}: "
                "send fewer or shorter ones",
                param="messages",
                code="context_length_exceeded",
            )
        return ids

    def answer(self, prompt: list[int], sampling: Sampling, told: Callable[[str], bool]) -> Written:
        """Write an answer. `told` gets each piece of its text, and ends it where it returns True.

        A character of which the answer has not all bytes, since it was cut off there, is not shown.
        """
        shown = Shown(sampling.stops)
        text = Detokenizer(self._tokenizer)

        def heard(token: int) -> bool:
            piece = "" if token in self._ends else text.add(token)
            return told(shown.add(piece)) or shown.stopped

        room = self.context - len(prompt)
        with torch.random.fork_rng():
            torch.manual_seed(secrets.randbits(63) if sampling.seed is None else sampling.seed)
            written = write(
                self._weights,
                prompt,
                sorted(self._ends),
                pad=self._pad,
                max_tokens=min(sampling.max_tokens or room, room),
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                heard=heard,
            )
        ended = written[-1] in self._ends
        told(shown.rest())
        return Written(tokens=len(written), reason="stop" if ended or shown.stopped else "length")


class Shown:
    """What of an answer may be shown: nothing from the first stop text on, nor what may yet become one."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops, self._held = stops, ""
        self.stopped = False

    def add(self, piece: str) -> str:
        """Take the next piece and return what can be shown now."""
        if self.stopped:
            return ""
        text = self._held + piece
        first = min((at for stop in self._stops if (at := text.find(stop)) >= 0), default=None)
        if first is not None:
            self.stopped, self._held = True, ""
            return text[:first]
        longest = max(map(len, self._stops), default=1) - 1
        held = next(
            size
            for size in range(min(longest, len(text)), -1, -1)
            if not size or any(stop.startswith(text[-size:]) for stop in self._stops)
        )
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def rest(self) -> str:
        """Return what was held back, when nothing more comes."""
        held, self._held = self._held, ""
        return held


def refuse_unfit(bundle: Path) -> None:
    """Raise `UsageError` for a folder that holds no model that answers chats, and say what makes one."""
    if (bundle / "run.json").is_file():
        raise UsageError(f"{bundle}: is a run folder: phi3train export {bundle} --to model makes the bundle of it")
    if (bundle / "config.json").is_file() and (bundle.resolve().parent / "manifest.json").is_file():
        raise UsageError(f"{bundle}: is within a bundle: give {bundle.resolve().parent}")
    said = read(bundle)
    if said.kind != "model":
        raise UsageError(f"{bundle}: is a bundle '{said.kind}': export the run with --to model to serve it")
    if said.facts.get("method") == "classify":
        raise UsageError(f"{bundle}: holds a classification head, which answers no chats")


def _ends(folder: Path) -> tuple[frozenset[int], int]:
    """Return the ids that end an answer and the one that pads, as the bundle gives them to every server."""
    path = folder / "generation_config.json"
    settings = read_json(path)
    ends = settings.get("eos_token_id")
    ids = ends if isinstance(ends, list) else [ends]
    if not ids or not all(type(each) is int for each in ids):
        raise InputError(f"{path}: names no token that ends an answer (eos_token_id): export the run again")
    pad = settings.get("pad_token_id")
    return frozenset(ids), pad if type(pad) is int else min(ids)
