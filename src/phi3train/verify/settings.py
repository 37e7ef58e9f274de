"""Checks of what stands beside the weights: both dialects, the tokenizer, the template, the ends of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phi3data import family
from phi3data.errors import InputError
from phi3data.tokens import count
from phi3data.tokens.count import template_of
from phi3data.tokens.encode import encoder
from phi3train.export import dialect
from phi3train.export.bundle import read, read_json
from phi3train.verify.outcome import Outcome, failed, passed

if TYPE_CHECKING:
    from pathlib import Path

_AGAIN = "export the run again"


def config(folder: Path) -> Outcome:
    """config.json says the same to transformers 4 and 5."""
    settings = read_json(folder / "model" / "config.json")
    wanted = dialect.config(settings, dtype=str(settings.get("dtype") or settings.get("torch_dtype")))
    wrong = sorted(key for key in wanted if settings.get(key, _AGAIN) != wanted[key])
    wrong += sorted(settings.keys() - wanted.keys())
    if wrong:
        said = f"config.json: {', '.join(wrong)}: one dialect lacks what the other says"
        return failed("config", said, _AGAIN)
    rope = settings["rope_parameters"]["rope_type"]
    return passed("config", f"both dialects say the same; rope: {rope}; weights: {settings['dtype']}")


def tokenizer(folder: Path) -> Outcome:
    """The tokenizer's settings are known to both, and the chat template is the same wherever it stands."""
    place = folder / ("adapter" if read(folder).kind == "adapter" else "model")
    settings = read_json(place / "tokenizer_config.json")
    template = settings.get("chat_template")
    try:
        beside = (place / "chat_template.jinja").read_text("utf-8")
    except OSError:
        return failed("tokenizer", "chat_template.jinja is missing: newer runtimes look for it", _AGAIN)
    if template != beside:
        return failed("tokenizer", "tokenizer_config.json and chat_template.jinja hold different templates", _AGAIN)
    wanted = dialect.tokenizer(settings, beside)
    wrong = sorted(key for key in settings | wanted if settings.get(key) != wanted.get(key))
    if wrong:
        said = f"tokenizer_config.json: {wrong[0]} is {settings.get(wrong[0])!r}, which older runtimes do not know"
        return failed("tokenizer", said, _AGAIN)
    profile = family.model(str(read(folder).facts.get("model")))
    found = template_of(count.resolve(str(place), profile)).name
    trained = read(folder).facts.get("template")
    if found != trained:
        return failed("tokenizer", f"the chat template is '{found}', the model learned '{trained}'", _AGAIN)
    return passed("tokenizer", f"read by both; chat template '{found}', inline and as a file")


def ends(folder: Path) -> Outcome:
    """An answer ends at every token that the model learned to end with."""
    place = folder / "model"
    profile = family.model(str(read(folder).facts.get("model")))
    controls = encoder(count.resolve(str(place), profile), profile).vocabulary.controls.by_text
    names = {number: text for text, number in profile.vocabulary.controls.items()}
    wanted = {names[number]: controls[names[number]].id for number in profile.eos if names.get(number) in controls}
    name, settings = _generation(folder)
    given = settings.get("eos_token_id")
    listed = given if isinstance(given, list) else [given]
    missing = [f"{name} ({number})" for name, number in wanted.items() if number not in listed]
    if missing:
        said = f"{name}: answers do not end at {', '.join(missing)}: the model would talk on"
        return failed("ends", said, _AGAIN)
    if not wanted:
        raise InputError("the tokenizer has none of the tokens that end an answer")
    return passed("ends", f"answers end at {', '.join(f'{name} ({number})' for name, number in wanted.items())}")


def _generation(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return the file that tells a runtime where answers end, and what it says."""
    if read(folder).kind == "onnx":
        name = "genai_config.json"
        return name, read_json(folder / "model" / name)["model"]
    name = "generation_config.json"
    return name, read_json(folder / "model" / name)
