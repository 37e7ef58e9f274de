"""The configuration of a run: everything that decides what is trained, on what, and how."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from phi3data import family

LINEAR = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")  # every linear layer of a Phi-3 block

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]
Number = Annotated[int, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which model is trained."""

    name: Annotated[str, Meta(description="The model's name in the Phi family: its template and its facts.")] = (
        family.DEFAULT
    )
    path: Annotated[
        str | None,
        Meta(description="Folder with config.json, weights and tokenizer; the local Hugging Face cache otherwise."),
    ] = None
    weights: Annotated[
        Literal["pretrained", "random"],
        Meta(description='"random" starts from noise, for tests of the pipeline and of its speed.'),
    ] = "pretrained"
    attention: Annotated[
        Literal["auto", "varlen", "sdpa", "eager"],
        Meta(
            description="How attention is computed: varlen keeps packed rows apart by a kernel, the others by a mask. "
            "auto takes varlen on a GPU, sdpa on a CPU."
        ),
    ] = "auto"
    kernels: Annotated[
        Literal["auto", "torch", "liger"],
        Meta(description="Norms, RoPE and SwiGLU: PyTorch's, or Liger's (GPU only); auto takes Liger's if installed."),
    ] = "auto"


class DataConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the conversations are and which of their tokens are learned."""

    train: Annotated[str, Meta(description="The folder that phi3data prepare wrote, or any file that it reads.")] = ""
    validation: Annotated[
        str | None, Meta(description="Held-out conversations; the folder's own validation.jsonl otherwise.")
    ] = None
    test: Annotated[str | None, Meta(description="Conversations for phi3train eval; the folder's test.jsonl.")] = None
    format: Annotated[str | None, Meta(description="Format of the rows (chat, alpaca, …); detected otherwise.")] = None
    loss_on: Annotated[
        Literal["assistant", "last", "all"], Meta(description="Turns that are learned; of weight 0 none is.")
    ] = "assistant"
    control_text: Annotated[
        Literal["escape", "keep", "error"],
        Meta(description="A control token spelled in a message: plain text, the token itself, or an error."),
    ] = "escape"


class MethodConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which weights learn."""

    kind: Annotated[
        Literal["full", "lora", "dora", "qlora", "classify"],
        Meta(
            description="full: all weights. lora, dora: adapters. qlora: LoRA over 4-bit weights, NVIDIA GPU only. "
            "classify: a head that names a row's class."
        ),
    ] = "lora"
    rank: Annotated[Count, Meta(description="Rank of the adapters.")] = 16
    alpha: Annotated[Positive, Meta(description="Scale of the adapters: alpha / rank times their product.")] = 32.0
    dropout: Annotated[Share, Meta(description="Dropout before the adapters, fraction 0–1.")] = 0.0
    targets: Annotated[tuple[str, ...], Meta(description="Linear layers that get an adapter.")] = LINEAR


class ClassifyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The classification head, for method.kind = "classify"."""

    weights: Annotated[
        Literal["lora", "full"], Meta(description="Which weights learn beside the head: adapters, or all.")
    ] = "lora"
    label_column: Annotated[
        str | None, Meta(description="Column with the class; else label, category, intent or topic, if there is one.")
    ] = None
    reads: Annotated[
        Literal["prompt", "conversation"],
        Meta(description="What is classified: the messages before the last answer, or all of them."),
    ] = "prompt"
    class_weights: Annotated[
        Literal["none", "balanced"], Meta(description="What counts the same in the loss: each row, or each class.")
    ] = "none"


class TrainConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The optimisation."""

    batch_tokens: Annotated[
        Count, Meta(description="Tokens per optimiser step, padding not counted, where batch_size is not set.")
    ] = 32_768
    batch_size: Annotated[
        Count | None, Meta(description="Conversations per optimiser step, as the portal counts; replaces batch_tokens.")
    ] = None
    batch_size_multiplier: Annotated[
        Positive, Meta(description="Times the batch, as in the portal: 2 makes half as many steps.")
    ] = 1.0
    micro_batch: Annotated[
        Count | None, Meta(description="Rows in memory at once; planned from the memory otherwise. Results stay equal.")
    ] = None
    learning_rate: Annotated[
        Positive | None, Meta(description="Peak learning rate; 5e-6 for full fine-tuning and 2e-4 for adapters.")
    ] = None
    learning_rate_multiplier: Annotated[Positive, Meta(description="Times the learning rate, as in the portal.")] = 1.0
    schedule: Annotated[
        Literal["cosine", "linear", "constant"], Meta(description="How the learning rate falls after the warm-up.")
    ] = "cosine"
    warmup: Annotated[Share, Meta(description="Part of all steps in which the learning rate rises, 0–1.")] = 0.03
    epochs: Annotated[Positive, Meta(description="Times that the data is seen.")] = 3.0
    max_steps: Annotated[Count | None, Meta(description="Optimiser steps; replaces epochs.")] = None
    optimizer: Annotated[Literal["adamw", "adafactor", "sgd"], Meta(description="Update rule.")] = "adamw"
    weight_decay: Annotated[float, Meta(ge=0, description="Decay of the weights per unit of learning rate.")] = 0.0
    max_gradient_norm: Annotated[Positive, Meta(description="Longer gradients are shortened to this.")] = 1.0
    loss: Annotated[
        Literal["cross-entropy", "dft"], Meta(description="Loss per token; dft weighs it by its probability.")
    ] = "cross-entropy"
    label_smoothing: Annotated[Share, Meta(description="Probability given to all other tokens, fraction 0–1.")] = 0.0
    precision: Annotated[
        Literal["auto", "bf16", "fp32"],
        Meta(description="Arithmetic over fp32 weights: bf16 autocast on a GPU that has it, fp32 on a CPU."),
    ] = "auto"
    checkpointing: Annotated[
        bool | None, Meta(description="Compute activations twice to save memory; planned from the memory otherwise.")
    ] = None
    compile: Annotated[bool, Meta(description="Let torch.compile fuse the model: a slow start, faster steps.")] = False
    save_every: Annotated[Count | None, Meta(description="Steps between checkpoints; ten a run otherwise.")] = None
    keep: Annotated[Count, Meta(description="Checkpoints that are kept.")] = 2
    tensorboard: Annotated[bool, Meta(description="Write TensorBoard files to logs/.")] = False


class PackingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Several conversations in one row, which never see each other."""

    enabled: Annotated[bool, Meta(description="Pack conversations, best fit first.")] = True
    length: Annotated[
        Count | None, Meta(description="Tokens per packed row; the longest row allowed, at most 4,096, otherwise.")
    ] = None


class TruncationConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Conversations that are too long. None is ever cut inside an answer or before its end of turn."""

    max_tokens: Annotated[Count | None, Meta(description="Tokens per conversation; the model's context otherwise.")] = (
        None
    )
    policy: Annotated[
        Literal["drop", "trim-oldest", "error"],
        Meta(description="Leave the row out, leave its oldest turns out (a system message stays), or stop."),
    ] = "drop"


class EvaluationConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exact evaluation on the validation rows while training."""

    every: Annotated[Count | None, Meta(description="Steps between evaluations; one an epoch otherwise.")] = None
    micro_batch: Annotated[Count, Meta(description="Rows evaluated at once at most; the result stays the same.")] = 8
    patience: Annotated[
        Count | None, Meta(description="Stop after so many evaluations without a better one; never otherwise.")
    ] = None


class SamplesConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answers that the model writes at each evaluation."""

    count: Annotated[Number, Meta(description="Prompts taken from the validation rows; 0 writes none.")] = 4
    max_tokens: Annotated[Count, Meta(description="Tokens after which an answer is cut off.")] = 128
    temperature: Annotated[float, Meta(ge=0, description="0 takes the likeliest token each time.")] = 0.0


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run."""

    output: Annotated[str, Meta(description="Run folder.")] = "runs/phi3"
    seed: Annotated[Number, Meta(description="Seed of everything that is random.")] = 0
    model: Annotated[ModelConfig, Meta(description="Which model is trained.")] = ModelConfig()
    data: Annotated[DataConfig, Meta(description="What it is trained on.")] = DataConfig()
    method: Annotated[MethodConfig, Meta(description="Which weights learn.")] = MethodConfig()
    classify: Annotated[ClassifyConfig, Meta(description="The classification head.")] = ClassifyConfig()
    train: Annotated[TrainConfig, Meta(description="The optimisation.")] = TrainConfig()
    packing: Annotated[PackingConfig, Meta(description="Several conversations in one row.")] = PackingConfig()
    truncation: Annotated[TruncationConfig, Meta(description="Conversations that are too long.")] = TruncationConfig()
    evaluation: Annotated[EvaluationConfig, Meta(description="Exact evaluation while training.")] = EvaluationConfig()
    samples: Annotated[SamplesConfig, Meta(description="Answers that the model writes.")] = SamplesConfig()


def under_head(config: Config) -> Config:
    """Return the configuration of the weights under a classification head; the same where there is none.

    Rows of classes are never packed: the head reads the end of a row. The rate for all weights is that of the BERT
    paper (2e-5): a head that starts from noise learns nothing at 5e-6.
    """
    if config.method.kind != "classify":
        return config
    full = config.classify.weights == "full"
    train = config.train
    if full and train.learning_rate is None:
        train = msgspec.structs.replace(train, learning_rate=2e-5)
    return msgspec.structs.replace(
        config,
        method=msgspec.structs.replace(config.method, kind=config.classify.weights),
        packing=msgspec.structs.replace(config.packing, enabled=False),
        train=train,
    )


def learning_rate(config: Config) -> float:
    """Return the peak learning rate: as given or the method's own, times the multiplier.

    Adapters start from nothing and bear the higher rate of the LoRA papers; 5e-6 is what Foundry takes for Phi-3.
    """
    config = under_head(config)
    own = 5e-6 if config.method.kind == "full" else 2e-4
    rate = config.train.learning_rate
    return (own if rate is None else rate) * config.train.learning_rate_multiplier
