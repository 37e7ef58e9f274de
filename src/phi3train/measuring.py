"""A trained model on held-out rows, beside the model that it was trained from."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.errors import UsageError
from phi3data.text.normalise import normalise
from phi3data.tokens.encode import encoder
from phi3train import settings
from phi3train.data.load import Data, load
from phi3train.data.prepared import Split, files
from phi3train.devices import here, precision
from phi3train.evaluation import Exact, evaluate
from phi3train.folder import RunFolder
from phi3train.generation import Prompt, Sample, answer, prompts, stop_rate, stops
from phi3train.loading import load_model, load_tokenizer, load_trained
from phi3train.models import find
from phi3train.offline import go_offline

if TYPE_CHECKING:
    from pathlib import Path

    from phi3train.config import Config


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """Written answers against the wanted ones, fractions 0–1. `f1` is over words, as SQuAD counts it."""

    prompts: int
    stop_rate: float
    exact_match: float
    f1: float


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One model. `loss` is in nats per learned token."""

    loss: float
    perplexity: float
    token_accuracy: float
    tokens: int
    answers: Answers | None


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The trained model and its base on the same rows. `rows` were evaluated, `dropped` could not be."""

    data: str
    sha256: str
    rows: int
    dropped: int
    trained: Measured
    base: Measured


class Trained:
    """A finished run, to be evaluated and sampled from."""

    def __init__(self, path: Path) -> None:
        """Open a run folder. Raises `OutputError` for one that is none, `UsageError` for one without a model yet."""
        go_offline()
        self.folder = RunFolder(path)
        self.folder.state()
        if not self.folder.best.is_dir():
            raise UsageError(f"{path}: has no model yet: phi3train run with --resume auto goes on with it")
        self.config: Config = settings.load(path / "config.toml")
        self.model = find(self.config.model)
        self.device, _ = here()
        self.precision = precision(self.config, self.device)
        self.tokenizer = load_tokenizer(self.model)
        self.encoder = encoder(self.model.tokenizer, self.model.profile)
        self.ends = stops(self.model, self.encoder)

    def data(self, path: Path | None) -> Data:
        """Return held-out rows: of a file, else the run's own test rows, else its validation rows."""
        named = files(self.config.data)
        split: Split = "test"
        if path is None:
            split = next((each for each in ("test", "validation") if each in named), "train")
            if split == "train":
                raise UsageError("the run has no test and no validation rows: give a file with --data")
            path = named[split]
        with_file = msgspec.structs.replace(self.config.data, test=str(path))
        config = msgspec.structs.replace(self.config, data=with_file)
        return load(config, self.model, ("test",))["test"]

    def load(self, *, base: bool) -> Any:
        """Return the trained model, or the one that it was trained from."""
        if base:
            return load_model(self.config, self.model, self.precision, self.device)
        return load_trained(self.config, self.model, self.folder.best, self.precision, self.device)

    def answer(self, model: Any, asked: list[Prompt], *, max_tokens: int, temperature: float) -> list[Sample]:
        """Let a model answer prompts."""
        return answer(
            model,
            self.tokenizer,
            asked,
            self.ends,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=self.config.seed,
            precision=self.precision,
        )

    def evaluate(self, path: Path | None, *, answers: int, max_tokens: int) -> Evaluation:
        """Measure the trained model and its base, and write eval.json. `answers` prompts are answered by both."""
        data = self.data(path)
        asked = prompts(data.rows, answers, self.ends)
        measured = []
        for base in (False, True):
            model = self.load(base=base)
            found = evaluate(
                model,
                data.rows,
                self.config.evaluation.micro_batch,
                precision=self.precision,
                window=self.model.window,
            )
            written = self.answer(model, asked, max_tokens=max_tokens, temperature=0) if asked else []
            measured.append(_measured(found, written))
            del model  # one of the two at a time
        done = Evaluation(
            data=str(data.path),
            sha256=data.sha256,
            rows=len(data.rows),
            dropped=len(data.lost),
            trained=measured[0],
            base=measured[1],
        )
        self.folder.write("eval.json", done)
        return done

    def prompt(self, text: str) -> Prompt:
        """Return the prompt of one user message."""
        from phi3data.chat import Conversation, Message

        asked = Conversation([Message("user", text), Message("assistant", "x")])
        encoded = self.encoder.encode(asked, control_text=self.config.data.control_text)
        return Prompt(id="prompt", ids=encoded.ids[: encoded.mask.index(True)], answer=[])


def render(found: Evaluation) -> str:
    """Return an evaluation as a table for the terminal."""
    rows = [
        ("nats per token", found.trained.loss, found.base.loss, ".4f"),
        ("perplexity", found.trained.perplexity, found.base.perplexity, ",.3f"),
        ("token accuracy", found.trained.token_accuracy, found.base.token_accuracy, ".1%"),
    ]
    ours, theirs = found.trained.answers, found.base.answers
    if ours is not None and theirs is not None:
        rows += [
            ("stop rate", ours.stop_rate, theirs.stop_rate, ".1%"),
            ("exact match", ours.exact_match, theirs.exact_match, ".1%"),
            ("F1 of words", ours.f1, theirs.f1, ".1%"),
        ]
    lines = [f"{found.data}: {found.rows:,} rows, {found.trained.tokens:,} learned tokens"]
    lines += [f"{'':<16}{'trained':>12}{'base':>12}"]
    lines += [f"{name:<16}{format(trained, form):>12}{format(base, form):>12}" for name, trained, base, form in rows]
    return "\n".join(lines) + "\n"


def f1(answer: str, wanted: str) -> float:
    """Return the harmonic mean of precision and recall over words, case and white space aside, 0–1."""
    ours, theirs = Counter(normalise(answer).split()), Counter(normalise(wanted).split())
    common = (ours & theirs).total()
    if not common:
        return float(not ours and not theirs)
    return 2 * common / (ours.total() + theirs.total())


def _measured(found: Exact, written: list[Sample]) -> Measured:
    answers = None
    if written:
        answers = Answers(
            prompts=len(written),
            stop_rate=stop_rate(written),
            exact_match=sum(normalise(each.answer) == normalise(each.wanted) for each in written) / len(written),
            f1=sum(f1(each.answer, each.wanted) for each in written) / len(written),
        )
    return Measured(
        loss=found.loss,
        perplexity=found.perplexity,
        token_accuracy=found.accuracy,
        tokens=found.tokens,
        answers=answers,
    )
