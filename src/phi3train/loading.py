"""Models and tokenizers from the disk into PyTorch, and the adapters on them."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from peft import LoraConfig, PeftModel
from safetensors import SafetensorError
from transformers import AutoTokenizer, Phi3Config, Phi3ForCausalLM, Phi3ForSequenceClassification, set_seed
from transformers.utils import logging

from phi3data.errors import InputError, UsageError
from phi3train import attention
from phi3train.config import under_head
from phi3train.data.labelled import pad_id
from phi3train.plan.plan import attention_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from phi3train.config import Config, ModelConfig
    from phi3train.models import Model
    from phi3train.plan.memory import Precision


HEAD = "score"  # the module of a classification head


def load_model(config: Config, model: Model, precision: Precision, device: str, classes: Sequence[str] = ()) -> Any:
    """Return the model on the device, ready to be trained.

    Weights that learn are fp32: pure bf16 loses small updates. Frozen ones are bf16 where the run computes in it, and
    four bits wide for QLoRA. With `classes` the model has a head for them, from noise where the weights have none.
    Raises `InputError` for weights that do not fit the configuration, `UsageError` for attention that cannot be had.
    """
    config = under_head(config)
    attended = attention_of(config, precision, varlen=device == "cuda" and attention.available())
    if attended == attention.VARLEN:
        attention.refuse_unfit(model, precision, device)
        attention.register()
    quiet: Any = logging.disable_progress_bar
    quiet()
    architecture: Any = Phi3ForSequenceClassification if classes else Phi3ForCausalLM  # partly untyped, as above
    settings = Phi3Config.from_dict({**model.settings, **(_head(model, classes) if classes else {})})
    frozen = config.method.kind != "full"
    dtype = torch.bfloat16 if frozen and precision == "bf16" else torch.float32
    if config.model.weights == "random":
        if config.method.kind == "qlora":
            raise UsageError("method.kind: qlora trains over pretrained weights: take lora to try random ones")
        set_seed(config.seed)
        settings._attn_implementation = attended  # where transformers keeps it
        with torch.device(device):  # billions of random numbers are the GPU's work
            return faster(config.model, architecture(settings).to(dtype), device)
    if classes:
        set_seed(config.seed)  # a new head is noise
    extra: dict[str, Any] = {"quantization_config": _four_bits()} if config.method.kind == "qlora" else {}
    try:
        made, info = architecture.from_pretrained(
            model.folder,
            config=settings,
            dtype=dtype,
            attn_implementation=attended,
            local_files_only=True,
            output_loading_info=True,
            **extra,
        )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise InputError(f"{model.folder}: the weights cannot be loaded: {str(error).splitlines()[0]}") from None
    lacking = {name for name in info["missing_keys"] if not (classes and name.startswith(HEAD))}
    if lacking:
        missing = ", ".join(sorted(lacking)[:3])
        raise InputError(f"{model.folder}: the weights lack {missing}: they are not those of config.json")
    return faster(config.model, made if extra else made.to(device), device)


def faster(config: ModelConfig, made: Any, device: str) -> Any:
    """Return the model with Liger's kernels for norms, RoPE and SwiGLU, where they are wanted and can be had.

    The loss stays TRL's fused one. Raises `UsageError` for kernels that are asked for and cannot be had.
    """
    asked, there = config.kernels, find_spec("liger_kernel") is not None
    if asked == "liger" and (device != "cuda" or not there):
        lacking = "an NVIDIA GPU, and PyTorch sees none" if device != "cuda" else "liger: pip install liger-kernel"
        raise UsageError(f'model.kernels: liger needs {lacking}; model.kernels = "torch" needs neither')
    if asked == "torch" or device != "cuda" or not there:
        return made
    # Not where mypy looks for it: Liger installs on machines with a GPU only.
    patch = import_module("liger_kernel.transformers").apply_liger_kernel_to_phi3
    rope = made.config.rope_parameters or {}
    wanted = {
        # Liger turns the whole width of a head; Phi-4-mini turns a part of it.
        "rope": rope.get("partial_rotary_factor", 1.0) == 1.0,
        "rms_norm": True,
        "swiglu": True,
        "cross_entropy": False,
        "fused_linear_cross_entropy": False,
    }
    patch(model=made, **{name: value for name, value in wanted.items() if name in signature(patch).parameters})
    return made


def load_tokenizer(model: Model) -> Any:
    """Return the tokenizer as transformers has it, for decoding and to lie beside saved models."""
    return AutoTokenizer.from_pretrained(model.folder, local_files_only=True)


def load_trained(
    config: Config, model: Model, best: Path, precision: Precision, device: str, classes: Sequence[str] = ()
) -> Any:
    """Return the model that a run has saved in `best`: all of it, or its adapter on the model that was trained."""
    if under_head(config).method.kind == "full":
        weights = msgspec.structs.replace(config.model, weights="pretrained")
        saved = msgspec.structs.replace(model, folder=best)
        return load_model(msgspec.structs.replace(config, model=weights), saved, precision, device, classes)
    return PeftModel.from_pretrained(load_model(config, model, precision, device, classes), str(best)).to(device)


def adapter(config: Config) -> LoraConfig | None:
    """Return the configuration of the adapters, None where all weights learn."""
    method, head = under_head(config).method, config.method.kind == "classify"
    if method.kind == "full":
        return None
    return LoraConfig(
        task_type="SEQ_CLS" if head else "CAUSAL_LM",
        modules_to_save=[HEAD] if head else None,
        r=method.rank,
        lora_alpha=method.alpha,  # type: ignore[arg-type] # annotated as int, used as a factor
        lora_dropout=method.dropout,
        target_modules=list(method.targets),
        use_dora=method.kind == "dora",
    )


def _head(model: Model, classes: Sequence[str]) -> dict[str, Any]:
    """Return what config.json says of a head. It reads the last token that is not `pad_token_id`."""
    return {
        "num_labels": len(classes),
        "id2label": dict(enumerate(classes)),
        "label2id": {name: number for number, name in enumerate(classes)},
        "pad_token_id": pad_id(model),
    }


def _four_bits() -> Any:
    if find_spec("bitsandbytes") is None:
        raise UsageError("method.kind: qlora needs bitsandbytes: pip install bitsandbytes, or take lora")
    from transformers import BitsAndBytesConfig

    made: Any = BitsAndBytesConfig  # its constructor is untyped
    return made(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
