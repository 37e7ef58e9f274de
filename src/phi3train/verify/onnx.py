"""Checks of an ONNX model: whole, set up as the family wants it, and answering as the weights did before."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data import family
from phi3data.errors import InputError
from phi3data.tokens import count
from phi3data.tokens.count import template_of
from phi3train.export.bundle import read, read_json
from phi3train.export.expected import read as read_answers
from phi3train.export.onnx import inference_model
from phi3train.verify.outcome import Outcome, failed, passed, skipped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onnx import GraphProto, ModelProto, TensorProto

    from phi3train.export.expected import Greedy

_AGAIN = "export the run again"
NEEDED = "pip install 'phi3kit[onnx]' makes this check too"
INSTALLED = all(find_spec(name) for name in ("onnx", "onnxruntime_genai"))


def complete(folder: Path) -> Outcome:
    """The ONNX model can be read, and the weights that it names are in the files beside it."""
    if not INSTALLED:
        return skipped("weights", NEEDED)
    place = folder / "model"
    name = _settings(folder)["decoder"]["filename"]
    tensors = list(_tensors(_graph(place / name).graph))
    outside = [tensor for tensor in tensors if tensor.external_data]
    for tensor in outside:
        where = {entry.key: entry.value for entry in tensor.external_data}
        path = place / where["location"]
        if path.parent != place:
            return failed("weights", f"{name}: {tensor.name} lies in {where['location']}, outside of model/", _AGAIN)
        if not path.is_file():
            return failed("weights", f"{where['location']} is missing", _AGAIN)
        end, size = int(where.get("offset", 0)) + int(where["length"]), path.stat().st_size
        if end > size:
            said = f"{path.name} has {size:,} bytes, {tensor.name} ends at {end:,}: it is cut off"
            return failed("weights", said, _AGAIN)
    if not outside:
        return failed("weights", f"{name} holds no weights", _AGAIN)
    return passed("weights", f"{len(outside)} weights beside {name}, all there")


def settings(folder: Path) -> Outcome:
    """genai_config.json and inference_model.json say what the bundle and its chat template say."""
    facts, held = read(folder).facts, _settings(folder)
    for key, fact in (("vocab_size", "vocabulary"), ("context_length", "context")):
        if held.get(key) != facts[fact]:
            said = f"genai_config.json: {key} is {held.get(key)}, the model has {facts[fact]:,}"
            return failed("settings", said, f'write "{key}": {facts[fact]}')
    if held.get("type") != "phi3":
        return failed("settings", f"genai_config.json: type is {held.get('type')!r}, expected 'phi3'", _AGAIN)
    if "custom_ops_library" in held["decoder"]["session_options"]:
        return failed("settings", "genai_config.json: custom_ops_library runs code when the model is loaded", _AGAIN)
    given = read_json(folder / "model" / "inference_model.json")
    profile = family.model(str(facts["model"]))
    template = template_of(count.resolve(str(folder / "model"), profile))
    wanted = inference_model(read(folder).name, template)
    if given.get("Name") != wanted["Name"]:
        said = f"inference_model.json: Name is {given.get('Name')!r}, expected {wanted['Name']!r}"
        return failed("settings", said, f'write "Name": "{wanted["Name"]}"')
    if given.get("PromptTemplate") != wanted["PromptTemplate"]:
        said = f"inference_model.json: PromptTemplate is not that of the chat template '{template.name}'"
        return failed("settings", said, _AGAIN)
    sizes = f"vocabulary {held['vocab_size']:,}, context {held['context_length']:,}"
    return passed("settings", f"{sizes}; {wanted['Name']} writes '{template.name}'")


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A model in onnxruntime-genai. It runs on the CPU, for whichever provider it was made."""

    version: str
    model: Any
    tokenizer: Any


def load(folder: Path) -> Loaded:
    """Load the model of a bundle. Raises `InputError` where the runtime cannot."""
    import onnxruntime_genai as runtime  # type: ignore[import-untyped]

    with _speaking():
        config = runtime.Config(str(folder / "model"))
        config.clear_providers()
        model = runtime.Model(config)
        return Loaded(version=runtime.__version__, model=model, tokenizer=runtime.Tokenizer(model))


@contextmanager
def _speaking() -> Iterator[None]:
    """Raise `InputError` with the first line of what the runtime says where it fails."""
    try:
        yield
    except RuntimeError as error:
        raise InputError(f"onnxruntime-genai: {str(error).strip().splitlines()[0]}") from None


def prompt(folder: Path, loaded: Loaded) -> Outcome:
    """The runtime's own template and tokenizer make the ids of the test request that the model learned to read."""
    wanted = read_answers(folder)
    if wanted.request is None or not wanted.answers:
        raise InputError("deploy/expected.json: has no request, or no answer")
    messages = msgspec.json.encode(wanted.request["messages"]).decode()
    with _speaking():
        text = loaded.tokenizer.apply_chat_template(messages, add_generation_prompt=True)
        ids = [int(number) for number in loaded.tokenizer.encode(text)]
    if ids != wanted.answers[0].prompt:
        at = next(
            (n for n, pair in enumerate(zip(ids, wanted.answers[0].prompt, strict=False)) if pair[0] != pair[1]), 0
        )
        read_as = loaded.tokenizer.decode(ids[at : at + 6])
        said = (
            f"onnxruntime-genai {loaded.version} cuts the test request otherwise than the model learned, "
            f"from token {at + 1} on ({read_as!r}): answers to such texts may be worse"
        )
        remedy = (
            "serve it with --to model, send ids in place of text, or train with a tokenizer.json that it reads alike"
        )
        return failed("prompt", said, remedy)
    return passed("prompt", f"onnxruntime-genai {loaded.version}: {len(ids)} ids of the test request, as learned")


def answers(folder: Path, loaded: Loaded) -> Outcome:
    """The model answers as the weights did before: to the letter in fp32; of rounded ones it says how often."""
    precision, wanted = read(folder).facts["precision"], read_answers(folder).answers
    who = f"onnxruntime-genai {loaded.version} on the CPU"
    with _speaking():
        if precision != "fp32":
            agreed, total = sum(_agreed(loaded, each) for each in wanted), sum(len(each.answer) for each in wanted)
            return passed("answers", f"{who}: {precision} chooses {agreed} of {total} tokens as fp32 does")
        same = sum(greedy(loaded, each.prompt, len(each.answer)) == each.answer for each in wanted)
    if same < len(wanted):
        said = f"{who}: {same} of {len(wanted)} answers are those of deploy/expected.json"
        return failed("answers", said, "the weights are not those that were exported: export again")
    return passed("answers", f"{who}: {same} answer{'s' * (same != 1)} to the letter")


def greedy(loaded: Loaded, prompt: list[int], tokens: int) -> list[int]:
    """Return the ids of the most likely answer, up to one that ends it or to so many tokens."""
    generator = _asked(loaded, prompt, tokens)
    written = []
    while not generator.is_done():
        generator.generate_next_token()
        written.append(int(generator.get_next_tokens()[0]))  # its get_sequence leaves out what ended the answer
    return written


def _agreed(loaded: Loaded, wanted: Greedy) -> int:
    """Return how many tokens of an answer the model would choose, each after those that come before it there."""
    generator, agreed = _asked(loaded, wanted.prompt, len(wanted.answer)), 0
    for token in wanted.answer:
        agreed += int(generator.get_logits()[0, -1].argmax()) == token
        generator.append_tokens([token])
    return agreed


def _asked(loaded: Loaded, prompt: list[int], tokens: int) -> Any:
    """Return a generator of up to so many tokens that has read a prompt."""
    import onnxruntime_genai as runtime

    settings = runtime.GeneratorParams(loaded.model)
    settings.set_search_options(max_length=len(prompt) + tokens, do_sample=False)
    generator = runtime.Generator(loaded.model, settings)
    generator.append_tokens(prompt)
    return generator


def _graph(path: Path) -> ModelProto:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        return onnx.load(path, load_external_data=False)
    except DecodeError:
        raise InputError(f"{path.name}: is no ONNX model, or is cut off") from None


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """Return the weights of a graph, those of the graphs within its nodes too."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _tensors(attribute.g)
            if attribute.HasField("t"):
                yield attribute.t


def _settings(folder: Path) -> dict[str, Any]:
    held: dict[str, Any] = read_json(folder / "model" / "genai_config.json")["model"]
    return held
