"""TRL's SFTTrainer with ready rows, its silent fall-backs left out: own order, exact evaluation, own counters."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import PrinterCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from phi3train.config import learning_rate
from phi3train.evaluation import evaluate
from phi3train.loading import adapter

if TYPE_CHECKING:
    from phi3train.folder import RunFolder
    from phi3train.job import Job
    from phi3train.recording import Recorder

_OPTIMIZERS = {"adamw": "adamw_torch", "adafactor": "adafactor", "sgd": "sgd"}
_LOSSES = {"cross-entropy": "nll", "dft": "dft"}


class ReadyTrainer(SFTTrainer):
    """Trains on the rows of a job in the job's order."""

    def __init__(
        self, job: Job, model: Any, tokenizer: Any, folder: RunFolder, recorder: Recorder, device: str
    ) -> None:
        self._job, self._order, self._recorder = job, job.order(), recorder
        self._rows: Any = Dataset.from_list([job.train.ready(pack) for pack in range(len(job.train.packs))])
        super().__init__(
            model=model,
            args=arguments(job, folder, device),
            train_dataset=self._rows,
            processing_class=tokenizer,
            peft_config=adapter(job.config),
            callbacks=[recorder, *_boards(job, folder)],
        )
        self.remove_callback(PrinterCallback)
        recorder.trainer = self

    def get_train_dataloader(self) -> Any:
        """Return the micro-batches in the job's order."""
        return self.accelerator.prepare(
            DataLoader(
                self._rows,
                batch_sampler=self._order,
                collate_fn=self.data_collator,
                pin_memory=self.args.dataloader_pin_memory,
            )
        )

    def training_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Count what is trained on, then train."""
        mask = inputs.get("attention_mask")
        self._recorder.count(
            int(inputs["input_ids"].numel() if mask is None else mask.sum()),
            int((inputs["labels"][:, 1:] != -100).sum()),
        )
        step: Any = super().training_step  # untyped
        return step(model, inputs, *args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:  # noqa: ARG002 (the rows are the job's)
        """Evaluate exactly, record it, and let the callbacks know."""
        assert self.model is not None, "it was given to the constructor"
        found = evaluate(
            self.model,
            self._job.data["validation"].rows,
            self._job.config.evaluation.micro_batch,
            precision=self._job.plan.precision,
            window=self._job.model.window,
        )
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

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write none: the run folder tells more, and a checkpoint is no place for it."""


def _boards(job: Job, folder: RunFolder) -> list[Any]:
    """Return what writes TensorBoard's files, where they are wanted."""
    if not job.config.train.tensorboard:
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
        "use_cpu": device == "cpu",
        "seed": config.seed,
        "data_seed": config.seed,
        "logging_steps": 1,  # the guard of each step waits for the device anyway
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": device == "cuda",
        "max_length": None,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "packing": job.train.capacity is not None,
    }
    chosen[again] = plan.checkpointing
    return SFTConfig(**chosen)
