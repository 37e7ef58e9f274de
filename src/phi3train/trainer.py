"""TRL's SFTTrainer with ready rows, its silent fall-backs left out: own order, exact evaluation, own counters."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from accelerate.data_loader import prepare_data_loader  # type: ignore[import-untyped] # accelerate has no types
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import PrinterCallback, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from phi3train import processes
from phi3train.config import learning_rate
from phi3train.evaluation import Exact, evaluate, row_losses
from phi3train.loading import adapter
from phi3train.recording import Recorder

if TYPE_CHECKING:
    import torch

    from phi3train.data.rows import Row
    from phi3train.folder import RunFolder
    from phi3train.job import Job

_OPTIMIZERS = {"adamw": "adamw_torch", "adafactor": "adafactor", "sgd": "sgd"}
_LOSSES = {"cross-entropy": "nll", "dft": "dft"}


class ReadyTrainer(SFTTrainer):
    """Trains on the rows of a job in the job's order."""

    def __init__(
        self, job: Job, model: Any, tokenizer: Any, folder: RunFolder, recorder: Recorder, device: str
    ) -> None:
        self._job, self._order, self._recorder = job, job.order(processes.number()), recorder
        ready = [job.train.ready(pack) for pack in range(len(job.train.packs))]
        self._rows: Any = Dataset.from_list([*ready, job.train.blank()])
        self._counted = -1
        super().__init__(
            model=model,
            args=arguments(job, folder, device),
            train_dataset=self._rows,
            processing_class=tokenizer,
            peft_config=adapter(job.config),
            callbacks=[_Together(recorder), recorder, *boards(job, folder)],
        )
        self.remove_callback(PrinterCallback)
        recorder.trainer = self

    def get_train_dataloader(self) -> Any:
        """Return this process's micro-batches in the job's order."""
        loader: Any = DataLoader(
            self._rows,
            batch_sampler=self._order,
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )
        # As `Accelerator.prepare` does it, but for the shares of the processes: the order deals them out itself, since
        # accelerate would fill the end of an epoch with rows that were trained on already.
        return prepare_data_loader(
            loader, self.accelerator.device, num_processes=1, process_index=0, put_on_device=True
        )

    def training_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Count the rows of a step once, those of all processes, then train."""
        if self._counted != self.state.global_step:
            self._counted = self.state.global_step
            rows = self._recorder.rows(self._counted)
            self._recorder.count(sum(len(row) for row in rows), sum(row.supervised for row in rows))
        step: Any = super().training_step  # untyped
        return step(model, inputs, *args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:  # noqa: ARG002 (the rows are the job's)
        """Evaluate exactly, record it, and let the callbacks know."""
        assert self.model is not None, "it was given to the constructor"
        rows = self._job.data["validation"].rows
        # A forward pass of sharded weights is one of all processes, so each must make as many as any other.
        shared = processes.count() > 1 and not self.is_fsdp_enabled
        found = evaluate(
            self.model,
            rows[processes.number() :: processes.count()] if shared else rows,
            self._job.config.evaluation.micro_batch,
            precision=self._job.plan.precision,
            window=self._job.model.window,
        )
        if shared:
            nll, tokens, hits = processes.total([found.nll, found.tokens, found.hits])
            found = Exact(nll=nll, tokens=round(tokens), hits=round(hits))
        metrics = {
            "eval_loss": found.loss,
            "eval_perplexity": found.perplexity,
            "eval_token_accuracy": found.accuracy,
            "eval_tokens": found.tokens,
        }
        self.log(dict(metrics))
        self._recorder.evaluated(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def row_losses(self, model: Any, row: Row) -> torch.Tensor:
        """Return the losses of one row alone, to know the one to blame by."""
        return row_losses(model, row)

    def said(self, metrics: dict[str, float]) -> str:
        """Return an evaluation in words."""
        return f"{metrics['eval_loss']:.4f} nats a token, perplexity {metrics['eval_perplexity']:.3f}"

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        """Save; the checkpoint is whole when every process has written its random numbers."""
        save: Any = super()._save_checkpoint  # untyped
        save(*args, **kwargs)
        processes.wait()

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write none: the run folder tells more, and a checkpoint is no place for it."""


class _Together(TrainerCallback):
    """Ends the run in all processes after the same step, whichever was interrupted."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        if processes.any_of(self._recorder.interrupted):
            self._recorder.interrupt()


class Follower(Recorder):
    """The book-keeper of every process but the first: decides what the first decides, and leaves nothing behind."""

    def save_best(self) -> None:
        """Take part in saving: sharded weights are gathered from all processes."""
        self.trainer.save_model(str(self.folder.best))

    def _say(self, text: str) -> None:
        """Keep silent."""


def boards(job: Job, folder: RunFolder) -> list[Any]:
    """Return what writes TensorBoard's files, where they are wanted."""
    if not job.config.train.tensorboard or not processes.first():
        return []
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations.integration_utils import TensorBoardCallback

    writer: Any = SummaryWriter  # untyped, as is the callback
    board: Any = TensorBoardCallback
    return [board(writer(log_dir=str(folder.path / "logs")))]


def arguments(job: Job, folder: RunFolder, device: str) -> SFTConfig:
    """Return TRL's arguments. Saving and evaluating are the recorder's to decide, and nothing is sent anywhere."""
    config, plan = job.config, job.plan
    train = config.train
    named = {field.name for field in dataclasses.fields(SFTConfig)}
    # Its name since transformers 5.18; the old one before.
    again = "activation_checkpointing" if "activation_checkpointing" in named else "gradient_checkpointing"
    optimizer = _OPTIMIZERS[train.optimizer]
    chosen: dict[str, Any] = {
        "output_dir": str(folder.checkpoints),
        "per_device_train_batch_size": plan.micro_batch,
        "gradient_accumulation_steps": plan.accumulation,
        "max_steps": plan.steps.total,
        "learning_rate": learning_rate(config),
        "lr_scheduler_type": train.schedule if train.schedule != "constant" else "constant_with_warmup",
        "warmup_steps": math.ceil(train.warmup * plan.steps.total),
        "optim": "adamw_torch_fused" if optimizer == "adamw_torch" and device == "cuda" else optimizer,
        "weight_decay": train.weight_decay,
        "max_grad_norm": train.max_gradient_norm,
        "loss_type": _LOSSES[train.loss],
        "label_smoothing_factor": train.label_smoothing,
        "bf16": plan.precision == "bf16",
        "torch_compile": train.compile,
        "use_cpu": device == "cpu",
        "seed": config.seed,
        "data_seed": config.seed,
        "logging_steps": 1,  # the guard of each step waits for the device anyway
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "ddp_find_unused_parameters": False,
        "dataloader_pin_memory": device == "cuda",
        "max_length": None,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "packing": job.train.capacity is not None,
    }
    chosen[again] = plan.checkpointing
    return SFTConfig(**chosen)
