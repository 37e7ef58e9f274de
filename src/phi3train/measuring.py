"""A trained model on held-out rows, beside the model that it was trained from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.chat import Conversation, Message
from phi3data.errors import UsageError
from phi3data.tokens.encode import encoder
from phi3train import report, settings
from phi3train.data.load import Data, load
from phi3train.data.prepared import Split, files
from phi3train.devices import here, precision
from phi3train.evaluation import Exact, evaluate
from phi3train.folder import RunFolder
from phi3train.generation import Prompt, Sample, answer, prompts, stop_rate, stops
from phi3train.loading import load_model, load_tokenizer, load_trained
from phi3train.models import find, read_settings, refuse_changed
from phi3train.offline import go_offline
from phi3train.refusals import Refusals, count, questions
from phi3train.report.warnings import refusals
from phi3train.scores import f1, same

if TYPE_CHECKING:
    from pathlib import Path

    from phi3train.config import Config

_KEPT = 5  # answers of each kind in eval.json
_OPENING = 48  # tokens: a refusal is known by how an answer opens


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """Written answers against the wanted ones, fractions 0–1. `f1` is over words, as SQuAD counts it."""

    prompts: int
    stop_rate: float
    exact_match: float
    f1: float


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One model. `loss` is in nats per learned token; `answers` and `refusals` are None where none were asked for."""

    loss: float
    perplexity: float
    token_accuracy: float
    tokens: int
    answers: Answers | None
    refusals: Refusals | None = None


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """The answers of both models to one prompt."""

    id: str
    prompt: str
    wanted: str
    trained: str
    base: str


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The trained model and its base on the same rows. `rows` were evaluated, `dropped` could not be.

    `samples` are the first answers, those to the prompts of refusals after the others.
    """

    data: str
    sha256: str
    rows: int
    dropped: int
    trained: Measured
    base: Measured
    samples: list[Beside] = []


class Trained:
    """A finished run, to be evaluated and sampled from. `classes` are those of its head, if it has one."""

    def __init__(self, path: Path) -> None:
        """Open a run folder. Raises `OutputError` for one that is none, `UsageError` for one without a model yet."""
        go_offline()
        self.folder = RunFolder(path)
        self.folder.state()
        if not self.folder.best.is_dir():
            raise UsageError(f"{path}: has no model yet: phi3train run with --resume auto goes on with it")
        self.config: Config = settings.load(path / "config.toml")
        self.model = find(self.config.model)
        refuse_changed(self.model, self.folder.state())
        self.device, _ = here()
        self.precision = precision(self.config, self.device)
        self.tokenizer = load_tokenizer(self.model)
        self.encoder = encoder(self.model.tokenizer, self.model.profile)
        self.ends = stops(self.model, self.encoder)
        self.classes = classes_of(self.folder.best) if self.config.method.kind == "classify" else []

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
        return load_trained(self.config, self.model, self.folder.best, self.precision, self.device, self.classes)

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

    def evaluate(
        self, path: Path | None, *, answers: int, max_tokens: int, refusable: Path | None = None
    ) -> Evaluation:
        """Measure the trained model and its base, and write eval.json and the report.

        `answers` prompts of the rows are answered by both, and those of the file `refusable` to count refusals.
        Raises `UsageError` for a classification head: `classification.measuring` measures it.
        """
        if self.classes:
            raise UsageError(f"{self.folder.path}: holds a classification head, which writes no text")
        data = self.data(path)
        asked = prompts(data.rows, answers, self.ends)
        risky = [self._prompt(each) for each in questions(refusable)] if refusable else []
        measured, said = [], []
        for base in (False, True):
            model = self.load(base=base)
            found = evaluate(
                model,
                data.rows,
                self.config.evaluation.micro_batch,
                precision=self.precision,
                window=self.model.window,
            )
            written = self.answer(model, asked, max_tokens=max_tokens, temperature=0)
            refused = self.answer(model, risky, max_tokens=min(max_tokens, _OPENING), temperature=0)
            measured.append(_measured(found, written, refused))
            said.append(written[:_KEPT] + refused[:_KEPT])
            del model  # one of the two at a time
        done = Evaluation(
            data=str(data.path),
            sha256=data.sha256,
            rows=len(data.rows),
            dropped=len(data.lost),
            trained=measured[0],
            base=measured[1],
            samples=[
                Beside(id=ours.id, prompt=ours.prompt, wanted=ours.wanted, trained=ours.answer, base=theirs.answer)
                for ours, theirs in zip(*said, strict=True)
            ],
        )
        self.folder.write("eval.json", done)
        report.write(self.folder.path)
        return done

    def prompt(self, text: str) -> Prompt:
        """Return the prompt of one user message."""
        return self._prompt(Conversation([Message("user", text)]))

    def _prompt(self, asked: Conversation) -> Prompt:
        """Return the prompt that asks for the answer to a conversation."""
        answered = msgspec.structs.replace(asked, messages=[*asked.messages, Message("assistant", "x")])
        encoded = self.encoder.encode(answered, loss_on="last", control_text=self.config.data.control_text)
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
    before, after = found.base.refusals, found.trained.refusals
    if before is not None and after is not None:
        rows.append(("refusal rate", after.rate, before.rate, ".1%"))
    lines = [f"{found.data}: {found.rows:,} rows, {found.trained.tokens:,} learned tokens"]
    lines += [f"{'':<16}{'trained':>12}{'base':>12}"]
    lines += [f"{name:<16}{format(trained, form):>12}{format(base, form):>12}" for name, trained, base, form in rows]
    lines += [f"warning: {each}" for each in refusals(after, before)]
    return "\n".join(lines) + "\n"


def classes_of(best: Path) -> list[str]:
    """Return the classes of a saved head, in the order of its outputs."""
    table = read_settings(best)["id2label"]
    return [table[str(number)] for number in range(len(table))]


def _measured(found: Exact, written: list[Sample], refused: list[Sample]) -> Measured:
    answers = None
    if written:
        answers = Answers(
            prompts=len(written),
            stop_rate=stop_rate(written),
            exact_match=sum(same(each.answer, each.wanted) for each in written) / len(written),
            f1=sum(f1(each.answer, each.wanted) for each in written) / len(written),
        )
    return Measured(
        loss=found.loss,
        perplexity=found.perplexity,
        token_accuracy=found.accuracy,
        tokens=found.tokens,
        answers=answers,
        refusals=count([each.answer for each in refused]) if refused else None,
    )
