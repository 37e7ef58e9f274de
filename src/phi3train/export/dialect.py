"""One checkpoint, two dialects: what transformers 5 writes, and beside it what runtimes on transformers 4 read.

Without the older keys such a runtime takes the rope for the usual one (a LongRoPE model then answers wrongly, and
nothing says so), does not know the class of the tokenizer, and does not find the chat template.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Files of code beside a model, and what only says where it once lay.
_DROPPED = ("auto_map", "_name_or_path", "_attn_implementation", "quantization_config")
_OF_TOKENIZER = ("auto_map", "backend", "is_local", "local_files_only", "name_or_path", "files_loaded")


def config(settings: Mapping[str, Any], *, dtype: str) -> dict[str, Any]:
    """Return config.json in both dialects from one in either. `dtype` is that of the weights, `float32` for example."""
    made = {key: value for key, value in settings.items() if key not in _DROPPED}
    rope = _rope(settings)
    made |= {"dtype": dtype, "torch_dtype": dtype, "rope_parameters": rope, "rope_theta": rope["rope_theta"]}
    made["rope_scaling"] = None
    if "partial_rotary_factor" in rope:
        made["partial_rotary_factor"] = rope["partial_rotary_factor"]
    if "original_max_position_embeddings" in rope:
        made["original_max_position_embeddings"] = rope["original_max_position_embeddings"]
    if rope["rope_type"] == "longrope":
        # transformers 4 allows these three keys and no other.
        factors = {key: rope[key] for key in ("short_factor", "long_factor")}
        made["rope_scaling"] = {"type": "longrope", **factors}
    return dict(sorted(made.items()))


def tokenizer(settings: Mapping[str, Any], template: str) -> dict[str, Any]:
    """Return tokenizer_config.json in both dialects, with the chat template in it."""
    made = {key: value for key, value in settings.items() if key not in _OF_TOKENIZER}
    # Known to both, and takes tokenizer.json as it is. Where no config.json lies beside, transformers 5 rebuilds a
    # LlamaTokenizer from its vocabulary: Phi-3's "<|user|>\nHello" then has no ▁ before "Hello", which is another id.
    made["tokenizer_class"] = "PreTrainedTokenizerFast"
    if isinstance(made.get("extra_special_tokens"), list):
        made["additional_special_tokens"] = made.pop("extra_special_tokens")
    made["chat_template"] = template
    return dict(sorted(made.items()))


def generation(settings: Mapping[str, Any], ends: Sequence[int]) -> dict[str, Any]:
    """Return generation_config.json: an answer ends at each of the ids `ends`."""
    known = {key: settings[key] for key in ("bos_token_id", "pad_token_id") if settings.get(key) is not None}
    return {**known, "do_sample": False, "eos_token_id": list(ends)}


def _rope(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rope as transformers 5 keeps it, whichever dialect the settings are in."""
    rope = dict(settings.get("rope_parameters") or settings.get("rope_scaling") or {})
    kind = rope.pop("type", None)
    rope.setdefault("rope_type", kind or "default")
    if rope["rope_type"] == "su":  # its name before it was in transformers
        rope["rope_type"] = "longrope"
    rope.setdefault("rope_theta", settings.get("rope_theta", 10_000.0))
    known = ["partial_rotary_factor"]
    if rope["rope_type"] == "longrope":
        known.append("original_max_position_embeddings")
    else:
        rope.pop("original_max_position_embeddings", None)  # a usual rope has no use for it
    for key in known:
        if settings.get(key) is not None:
            rope.setdefault(key, settings[key])
    return dict(sorted(rope.items()))
