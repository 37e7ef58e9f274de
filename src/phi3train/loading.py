"""Models and tokenizers from the disk into PyTorch, and the adapters on them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from peft import LoraConfig, PeftModel
from transformers import AutoTokenizer, Phi3Config, Phi3ForCausalLM, set_seed
from transformers.utils import logging

from phi3data.errors import InputError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from phi3train.config import Config
    from phi3train.models import Model
    from phi3train.plan.memory import Precision


def load_model(config: Config, model: Model, precision: Precision, device: str) -> Any:
    """Return the model on the device, ready to be trained.

    Weights that learn are fp32: pure bf16 loses small updates. Frozen ones are bf16 where the run computes in it, and
    four bits wide for QLoRA. Raises `InputError` for weights that do not fit the configuration.
    """
    quiet: Any = logging.disable_progress_bar
    quiet()
    architecture: Any = Phi3ForCausalLM  # partly untyped, as the line above
    settings = Phi3Config.from_dict(dict(model.settings))
    frozen = config.method.kind != "full"
    dtype = torch.bfloat16 if frozen and precision == "bf16" else torch.float32
    if config.model.weights == "random":
        set_seed(config.seed)
        settings._attn_implementation = config.model.attention  # where transformers keeps it
        return architecture(settings).to(dtype).to(device)
    extra: dict[str, Any] = {"quantization_config": _four_bits()} if config.method.kind == "qlora" else {}
    try:
        made, info = architecture.from_pretrained(
            model.folder,
            config=settings,
            dtype=dtype,
            attn_implementation=config.model.attention,
            local_files_only=True,
            output_loading_info=True,
            **extra,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{model.folder}: the weights cannot be loaded: {str(error).splitlines()[0]}") from None
    if info["missing_keys"]:
        missing = ", ".join(sorted(info["missing_keys"])[:3])
        raise InputError(f"{model.folder}: the weights lack {missing}: they are not those of config.json")
    return made if extra else made.to(device)


def load_tokenizer(model: Model) -> Any:
    """Return the tokenizer as transformers has it, for decoding and to lie beside saved models."""
    return AutoTokenizer.from_pretrained(model.folder, local_files_only=True)


def load_trained(config: Config, model: Model, best: Path, precision: Precision, device: str) -> Any:
    """Return the model that a run has saved in `best`: all of it, or its adapter on the model that was trained."""
    if config.method.kind == "full":
        weights = msgspec.structs.replace(config.model, weights="pretrained")
        saved = msgspec.structs.replace(model, folder=best)
        return load_model(msgspec.structs.replace(config, model=weights), saved, precision, device)
    return PeftModel.from_pretrained(load_model(config, model, precision, device), str(best)).to(device)


def adapter(config: Config) -> LoraConfig | None:
    """Return the configuration of the adapters, None where all weights learn."""
    method = config.method
    if method.kind == "full":
        return None
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=method.rank,
        lora_alpha=method.alpha,  # type: ignore[arg-type] # annotated as int, used as a factor
        lora_dropout=method.dropout,
        target_modules=list(method.targets),
        use_dora=method.kind == "dora",
    )


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
