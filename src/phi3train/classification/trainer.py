"""Transformers' Trainer over rows of classes: the job's order, weights of classes, exact evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peft import get_peft_model
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer

from phi3train.classification.head import evaluate, logits, numbers, weights
from phi3train.data.labelled import pad_id
from phi3train.evaluation import padded
from phi3train.loading import HEAD, adapter
from phi3train.trainer import arguments, boards

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch

    from phi3train.data.rows import Row
    from phi3train.folder import RunFolder
    from phi3train.job import Job
    from phi3train.recording import Recorder


class ClassTrainer(Trainer):
    """Trains a head, and the weights under it, on the rows of a job in the job's order."""

    def __init__(
        self, job: Job, model: Any, tokenizer: Any, folder: RunFolder, recorder: Recorder, device: str
    ) -> None:
        self._job, self._order, self._recorder = job, job.order(), recorder
        self._pad, self._classes = pad_id(job.model), job.classes
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(self._pad)  # the one that the head knows
        wrapped = adapter(job.config)
        if wrapped is not None:
            model = get_peft_model(model, wrapped)
        for name, weight in model.named_parameters():
            if HEAD in name.split("."):
                weight.data = weight.data.float()  # it learns: see `load_model`
        self._weights = None
        if job.config.classify.class_weights == "balanced":
            self._weights = weights(job.train.rows, self._classes).to(device)
        super().__init__(
            model=model,
            args=arguments(job, folder, device),
            train_dataset=job.train.rows,  # only its length is asked for
            processing_class=tokenizer,
            callbacks=[recorder, *boards(job, folder)],
        )
        self.remove_callback(PrinterCallback)
        self.model_accepts_loss_kwargs = True  # the loss below is a mean over all rows of the step
        recorder.trainer = self

    def get_train_dataloader(self) -> Any:
        """Return the micro-batches in the job's order."""
        return self.accelerator.prepare(
            DataLoader(
                self._job.train.rows,  # type: ignore[arg-type] # a list is a data set
                batch_sampler=self._order,
                collate_fn=self._collate,
                pin_memory=self.args.dataloader_pin_memory,
            )
        )

    def training_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Count what is trained on, then train."""
        self._recorder.count(int(inputs["attention_mask"].sum()), 0)
        step: Any = super().training_step  # untyped
        return step(model, inputs, *args, **kwargs)

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:  # noqa: ARG002
        """Return the mean loss over the rows of the step, each by the weight of its class."""
        wanted = inputs.pop("labels")
        found = model(**inputs, use_cache=False).logits.float()
        total = functional.cross_entropy(
            found,
            wanted,
            weight=self._weights,
            reduction="none",
            label_smoothing=self.args.label_smoothing_factor,
        ).sum()
        rows = kwargs.get("num_items_in_batch")
        mean: torch.Tensor = total / (len(wanted) if rows is None else rows)
        return mean

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:  # noqa: ARG002 (the rows are the job's)
        """Evaluate exactly, record it, and let the callbacks know."""
        job = self._job
        assert self.model is not None, "it was given to the constructor"
        found = evaluate(
            self.model,
            job.data["validation"].rows,
            self._classes,
            job.config.evaluation.micro_batch,
            pad=self._pad,
            precision=job.plan.precision,
            window=job.model.window,
        )
        metrics = {
            "eval_loss": found.loss,
            "eval_accuracy": found.scores.accuracy,
            "eval_macro_f1": found.scores.macro_f1,
        }
        self.log(dict(metrics))
        self._recorder.evaluated(metrics)
        if self._recorder.progress.best_step == self._recorder.progress.step:
            self._recorder.folder.write("confusion.json", found.scores)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def row_losses(self, model: Any, row: Row) -> torch.Tensor:
        """Return the loss of one row alone, to know the one to blame by."""
        wanted = numbers([row], self._classes)
        found = logits(model, [row], self._pad)
        return functional.cross_entropy(found, wanted.to(found.device))

    def said(self, metrics: dict[str, float]) -> str:
        """Return an evaluation in words."""
        return f"macro-F1 {metrics['eval_macro_f1']:.3f}, accuracy {metrics['eval_accuracy']:.1%}"

    def save_model(self, output_dir: str | Path | None = None, *args: Any, **kwargs: Any) -> None:
        """Save the model, and beside an adapter the configuration that names the classes."""
        save: Any = super().save_model  # untyped
        save(output_dir, *args, **kwargs)
        model: Any = self.model
        model.config.save_pretrained(output_dir or self.args.output_dir)

    def _collate(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        return {**padded(rows, self._pad), "labels": numbers(rows, self._classes)}
