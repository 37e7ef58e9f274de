"""Which model is meant: its place in the family, and the folder with its configuration, weights and tokenizer."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data import family
from phi3data.errors import InputError, UsageError
from phi3data.family import ModelProfile
from phi3data.sources.files import digest
from phi3data.tokens import count
from phi3data.tokens.count import TokenizerRef

if TYPE_CHECKING:
    from phi3train.config import ModelConfig

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
ARCHITECTURE = "phi3"  # config.json's model_type of every model that transformers trains without code from a hub


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model on this machine. `settings` is its config.json, `context` and `window` are in tokens.

    `window` is where LongRoPE changes its factors: rows up to it and rows over it never share a batch. None: no model
    of the LongRoPE kind.
    """

    profile: ModelProfile
    folder: Path
    tokenizer: TokenizerRef
    settings: dict[str, Any]
    context: int
    window: int | None

    @property
    def vocabulary(self) -> int:
        """Rows of the embedding."""
        return int(self.settings["vocab_size"])


def find(config: ModelConfig) -> Model:
    """Return the model that a configuration names.

    Raises `UsageError` where it is not on this machine or cannot be trained, `InputError` for a file that is damaged.
    """
    profile = family.model(config.name)
    if profile.architecture != ARCHITECTURE:
        raise UsageError(
            f"model.name: {profile.name} is of the architecture '{profile.architecture}', which transformers only runs "
            "with code from its repository; phi3train runs none: choose a model of the architecture 'phi3'"
        )
    tokenizer = _tokenizer(config, profile)
    folder = Path(tokenizer.path).parent
    settings = read_settings(folder)
    if settings.get("model_type") != ARCHITECTURE:
        raise UsageError(f"{folder / 'config.json'}: model_type is {settings.get('model_type')!r}, expected 'phi3'")
    if config.weights == "pretrained" and not any((folder / name).is_file() for name in WEIGHTS):
        raise UsageError(
            f"{folder}: holds no weights ({' or '.join(WEIGHTS)}): download the model there, or set "
            'model.weights = "random" to try the pipeline without them'
        )
    return Model(
        profile=profile,
        folder=folder,
        tokenizer=tokenizer,
        settings=settings,
        context=int(settings.get("max_position_embeddings", profile.context)),
        window=window_of(settings),
    )


def weights_of(model: Model) -> str:
    """Return the sha256 over the weights in a model's folder, file by file in the order of their names."""
    made = sha256()
    for path in sorted(model.folder.glob("*.safetensors")):
        made.update(bytes.fromhex(digest(path)))
    return made.hexdigest()


def refuse_changed(model: Model, state: dict[str, Any]) -> None:
    """Raise `InputError` where the base of a run holds other weights, or another tokenizer, than when it was trained.

    `state` is the run's run.json. What an adapter learned means nothing on another base, and nothing else would say so.
    """
    known = state.get("model", {}).get("sha256")
    if known is not None and known != weights_of(model):
        what = "weights"
    elif state.get("tokenizer", {}).get("sha256") not in (None, model.tokenizer.sha256):
        what = "a tokenizer"
    else:
        return
    raise InputError(f"{model.folder}: holds {what} other than those that the run began with: put the model back there")


def read_settings(folder: Path) -> dict[str, Any]:
    """Return the config.json in a folder, an old rope type "su" read as the "longrope" that it is.

    Raises `InputError` where there is none, or no JSON object in it.
    """
    path = folder / "config.json"
    try:
        settings = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}: model.path is a folder with a model") from None
    except msgspec.DecodeError as error:
        raise InputError(f"{path}: is no JSON object: {error}") from None
    for key in ("rope_scaling", "rope_parameters"):
        rope = settings.get(key)
        if isinstance(rope, dict):
            settings[key] = {name: "longrope" if value == "su" else value for name, value in rope.items()}
    return settings


def window_of(settings: dict[str, Any]) -> int | None:
    """Return the longest position that LongRoPE gives its short factors, None for a model without LongRoPE."""
    rope = settings.get("rope_parameters") or settings.get("rope_scaling") or {}
    if rope.get("rope_type", rope.get("type")) != "longrope":
        return None
    own = rope.get("original_max_position_embeddings")
    return int(own or settings.get("original_max_position_embeddings", 4096))


def _tokenizer(config: ModelConfig, profile: ModelProfile) -> TokenizerRef:
    if config.path is not None:
        if not Path(config.path).is_dir():
            raise UsageError(f"model.path: {config.path} is no folder: give the folder with config.json and weights")
        try:
            return count.resolve(config.path, profile)
        except UsageError:
            raise UsageError(f"model.path: {config.path} holds no tokenizer.json and no *.tiktoken") from None
    found = count.resolve(None, profile)
    if found.estimated:
        raise UsageError(
            f"{profile.hub} is not in the local Hugging Face cache: download it (hf download {profile.hub}) or give "
            "its folder as model.path"
        )
    return found
