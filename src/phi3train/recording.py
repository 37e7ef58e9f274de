"""What happens around the steps of a run: guard, count, evaluate, save, stop, and write it all down."""

from __future__ import annotations

import shutil
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from phi3train.generation import Prompt, answer, stop_rate
from phi3train.guards import refuse_not_finite

if TYPE_CHECKING:
    from phi3train.data.rows import Row
    from phi3train.folder import Progress, RunFolder
    from phi3train.job import Job

_SAVES = 10  # checkpoints of a run where nothing is configured
# A step is a spike where its loss is twice the median of the last 20, and a nat per token above it: near zero, twice is
# noise.
_SPIKE, _ABOVE, _RECENT = 2.0, 1.0, 20
_NAMED = 5  # rows of a spike named on the terminal
_OWN = ("loss", "grad_norm", "learning_rate", "entropy", "mean_token_accuracy")


class Recorder(TrainerCallback):
    """The run's own book-keeping; `progress` goes into each checkpoint. `interrupt` ends the run after its step."""

    def __init__(
        self, job: Job, folder: RunFolder, progress: Progress, tokenizer: Any, asked: list[Prompt], ends: list[int]
    ) -> None:
        self.job, self.folder, self.progress = job, folder, progress
        self.trainer: Any = None
        self.interrupted = False
        self._tokenizer, self._asked, self._ends = tokenizer, asked, ends
        self._order = job.order()
        self._started = time.monotonic()
        self._before = progress.seconds
        self._step = (0, 0)  # tokens and learned tokens since the last step
        self._last = self._started
        steps = job.plan.steps
        self._evaluate_every = job.config.evaluation.every or steps.per_epoch
        self._save_every = job.config.train.save_every or max(1, steps.total // _SAVES)

    def interrupt(self) -> None:
        """End the run after the step that it is in, with a checkpoint."""
        self.interrupted = True

    @property
    def model(self) -> Any:
        """The model that is trained, adapters and all."""
        return self.trainer.model

    def count(self, tokens: int, supervised: int) -> None:
        """Count the tokens of a micro-batch, and those of them that are learned."""
        self._step = (self._step[0] + tokens, self._step[1] + supervised)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Stop before an update with a gradient that is no number."""
        refuse_not_finite(
            kwargs["model"],
            state.global_step,
            lambda: self.rows(state.global_step),
            self.job.plan.precision,
            self.trainer.row_losses,
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Count the step, and decide what follows it."""
        step, total = state.global_step, self.job.plan.steps.total
        progress = self.progress
        progress.step = step
        progress.tokens += self._step[0]
        progress.supervised += self._step[1]
        progress.conversations += len(self.rows(step - 1))
        control.should_log = True
        last = step >= total
        if "validation" in self.job.data and (step % self._evaluate_every == 0 or last):
            control.should_evaluate = True
        if step % self._save_every == 0 or last or self.interrupted:
            control.should_save = True
        if self.interrupted:
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Write a line for a step; the summary that transformers logs at the end is in run.json."""
        logs: dict[str, float] = kwargs["logs"]
        if "loss" not in logs:
            return
        now = time.monotonic()
        tokens, passed = self._step[0], now - self._last
        self._step, self._last = (0, 0), now
        self.progress.seconds = self._before + now - self._started
        line = {
            "step": state.global_step,
            "epoch": state.epoch,
            **{name: logs[name] for name in _OWN if name in logs},
            "tokens": self.progress.tokens,
            "supervised_tokens": self.progress.supervised,
            "seconds": round(self.progress.seconds, 3),
            "tokens_per_second": round(tokens / max(passed, 1e-9), 1),
        }
        spike = self._spike(logs["loss"])
        if spike is not None:
            line["spike"] = spike
        self.progress.metrics = self.folder.append(self.folder.metrics, line)
        if sys.stderr.isatty() or state.global_step % max(1, self.job.plan.steps.total // 20) == 0:
            self._say(f"loss {logs['loss']:.4f}, {line['tokens_per_second']:,.0f} tokens/s")

    def evaluated(self, metrics: dict[str, float]) -> None:
        """Write an evaluation and samples; keep the best model; decide whether to go on."""
        progress, loss = self.progress, metrics["eval_loss"]
        line: dict[str, Any] = {"step": progress.step, **metrics}
        if self._asked:
            line["stop_rate"] = self._sample()
        progress.metrics = self.folder.append(self.folder.metrics, line)
        self._say(f"validation: {self.trainer.said(metrics)}")
        if progress.best is None or loss < progress.best:
            progress.best, progress.best_step, progress.waited = loss, progress.step, 0
            self.save_best()
        else:
            progress.waited += 1
        patience = self.job.config.evaluation.patience
        if patience is not None and progress.waited >= patience:
            self._say(f"no better evaluation in {progress.waited}: stopped early")
            self.trainer.control.should_training_stop = True
            self.trainer.control.should_save = True
        self._last = time.monotonic()  # evaluating is no part of a step's time

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Complete a checkpoint."""
        self.folder.complete(self.progress, self.job.config.train.keep)
        self._last = time.monotonic()

    def save_best(self) -> None:
        """Put the model as it is into best/, whole or not at all."""
        part = self.folder.best.with_name("best.part")
        shutil.rmtree(part, ignore_errors=True)
        self.trainer.save_model(str(part))
        (part / "training_args.bin").unlink(missing_ok=True)  # a pickle
        shutil.rmtree(self.folder.best, ignore_errors=True)
        part.rename(self.folder.best)

    def _spike(self, loss: float) -> dict[str, Any] | None:
        """Return the usual loss and the rows of the step where its loss is far above those of the last steps."""
        recent = self.progress.recent
        usual = median(recent) if len(recent) == _RECENT else None
        recent.append(loss)
        del recent[:-_RECENT]
        if usual is None or loss <= max(_SPIKE * usual, usual + _ABOVE):
            return None
        rows = [row.id for row in self.rows(self.progress.step - 1)]
        named = f"{', '.join(rows[:_NAMED])}{', …' if len(rows) > _NAMED else ''}"
        self._say(f"the loss of {loss:.4f} is far above the usual {usual:.4f}: {named}")
        return {"usual": usual, "rows": rows}

    def rows(self, step: int) -> list[Row]:
        """Return the conversations of an optimiser step, from 0."""
        data = self.job.train
        packs = self._order.step(step, self.job.plan.accumulation)
        return [data.rows[index] for pack in packs for index in data.packs[pack]]

    def _sample(self) -> float:
        config = self.job.config
        made = answer(
            self.model,
            self._tokenizer,
            self._asked,
            self._ends,
            max_tokens=config.samples.max_tokens,
            temperature=config.samples.temperature,
            seed=config.seed,
            precision=self.job.plan.precision,
        )
        for sample in made:
            self.progress.samples = self.folder.append(
                self.folder.samples, {"step": self.progress.step, **_plain(sample)}
            )
        return stop_rate(made)

    def _say(self, text: str) -> None:
        sys.stderr.write(f"step {self.progress.step:,}/{self.job.plan.steps.total:,}: {text}\n")


def _plain(sample: Any) -> dict[str, Any]:
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(sample)
    return found
