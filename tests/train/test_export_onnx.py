"""ONNX bundles: built by Microsoft's own builder, answering under its runtime as before, every fault found."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime_genai as runtime  # type: ignore[import-untyped]
import pytest
import torch
from scripts.make_tiny_model import DECODER
from transformers import AutoModelForCausalLM, AutoTokenizer

from phi3data.chat import Conversation, Message
from phi3data.cli import run as command
from phi3data.errors import InputError, UsageError
from phi3data.family import TEMPLATES
from phi3data.family.written import to_jinja
from phi3data.tokens.exact.kinds import O200K
from phi3train.cli import group, options
from phi3train.export import onnx as exporting
from phi3train.export.answers import greedy
from phi3train.export.bundle import contents, read, read_json, seal, write_json
from phi3train.export.checkpoint import export_model
from phi3train.export.expected import GREETING
from phi3train.export.onnx import export_onnx
from phi3train.measuring import Trained
from phi3train.run import run
from phi3train.verify import onnx as checks
from phi3train.verify import verify
from tests.tokens.tiny import write_tiny
from tests.train.tiny import config, longrope, write_chats, write_model

if TYPE_CHECKING:
    from collections.abc import Callable

_SETTINGS = {"train__max_steps": 2, "evaluation__every": 2, "samples__count": 0}
_WINDOW = 4096  # onnxruntime-genai changes LongRoPE's factors here, whatever the model says: all of the family do
_RUNTIME = f"onnxruntime-genai {runtime.__version__}"
_SPREAD = 0.25  # of random weights: answers of many different tokens, which a small difference changes


def _tokenizer(folder: Path, kind: str, **changes: Any) -> Path:
    """Write a small tokenizer with all that real ones have and runtimes go by."""
    folder.mkdir(parents=True)
    table = json.loads((write_tiny(folder, kind) / "tokenizer.json").read_text("utf-8")) | changes
    (folder / "tokenizer.json").write_text(json.dumps(table), "utf-8")
    special = {"bos_token": "<s>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "unk_token": "<unk>"}
    # As the real files name it; transformers 5 would build another one by that name.
    write_json(folder / "tokenizer_config.json", {**special, "tokenizer_class": "LlamaTokenizer", "legacy": False})
    return folder


def _phi3_tokenizer(folder: Path) -> Path:
    return _tokenizer(folder, "llama", decoder=DECODER)


def _phi4_tokenizer(folder: Path) -> Path:
    split = {"type": "Split", "pattern": {"Regex": O200K}, "behavior": "Removed", "invert": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return _tokenizer(folder, "bytes", pre_tokenizer={"type": "Sequence", "pretokenizers": [split, byte_level]})


def _trained(folder: Path, tokenizer: Path, name: str, **shape: Any) -> Path:
    base = write_model(folder / "model", tokenizer=tokenizer, initializer_range=_SPREAD, **shape)
    chats = write_chats(folder / "chats.jsonl", 12)
    made = config(
        base, chats, folder / "run", method__kind="lora", model__name=name, data__validation=str(chats), **_SETTINGS
    )
    assert run(made).state == "done"
    return folder / "run"


@pytest.fixture(scope="module")
def phi3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a Phi-3 of the LongRoPE kind, whose short and long factors differ."""
    folder = tmp_path_factory.mktemp("phi3")
    tokenizer = _phi3_tokenizer(folder / "tokenizer")
    return _trained(folder, tokenizer, "phi-3-mini-128k-instruct", **longrope(_WINDOW, 2 * _WINDOW))


@pytest.fixture(scope="module")
def bundle(phi3: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundle, made as a user makes it."""
    output = tmp_path_factory.mktemp("bundle") / "support"
    assert command(group, ["export", str(phi3), "--to", "onnx", "-o", str(output)]) == 0
    return output


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    """A bundle to break."""
    return shutil.copytree(bundle, tmp_path / "copy")


def _states(folder: Path) -> dict[str, str]:
    return {each.name: each.state for each in verify(folder)}


def test_a_bundle_has_what_foundry_local_looks_for_and_answers_as_before(bundle: Path, phi3: Path) -> None:
    assert sorted(contents(bundle)) == [
        "LICENSE",
        "MODEL_CARD.md",
        "deploy/expected.json",
        "deploy/test_request.json",
        "model/chat_template.jinja",
        "model/genai_config.json",
        "model/inference_model.json",
        "model/model.onnx",
        "model/model.onnx.data",
        "model/tokenizer.json",
        "model/tokenizer_config.json",
    ]
    assert read_json(bundle / "model" / "inference_model.json") == {
        "Name": "support:1",
        "PromptTemplate": {
            "system": "<|system|>\n{Content}<|end|>\n",
            "user": "<|user|>\n{Content}<|end|>\n",
            "assistant": "<|assistant|>\n{Content}<|end|>\n",
            "prompt": "<|user|>\n{Content}<|end|>\n<|assistant|>\n",
        },
    }
    ids = {each["content"]: each["id"] for each in read_json(bundle / "model" / "tokenizer.json")["added_tokens"]}
    ends = sorted(ids[text] for text in ("<|endoftext|>", "<|assistant|>", "<|end|>"))
    settings = read_json(bundle / "model" / "genai_config.json")["model"]
    assert (settings["eos_token_id"], settings["context_length"], settings["type"]) == (ends, 2 * _WINDOW, "phi3")
    said = read(bundle)
    assert (said.kind, said.name, said.base_model) == ("onnx", "support", "microsoft/Phi-3-mini-128k-instruct")
    assert (said.facts["precision"], said.facts["provider"], said.facts["eos_token_id"]) == ("fp32", "cpu", ends)
    card = (bundle / "MODEL_CARD.md").read_text("utf-8")
    assert "library_name: onnx\n" in card
    assert "then `foundry model run support`. `deploy/expected.json` holds what the weights answered in fp32." in card
    found = {each.name: each for each in verify(bundle)}
    assert {each.state for each in found.values()} == {"passed"}, found
    assert found["settings"].found == f"vocabulary {settings['vocab_size']}, context 8,192; support:1 writes 'phi-3'"
    assert found["prompt"].found == f"{_RUNTIME}: 5 ids of the test request, as learned"
    assert found["answers"].found == f"{_RUNTIME} on the CPU: 3 answers to the letter"


def test_it_names_neither_this_machine_nor_its_repository(bundle: Path, phi3: Path) -> None:
    for path in (path for path in bundle.rglob("*") if path.is_file()):
        held = path.read_bytes()
        assert str(phi3.parent).encode() not in held, path
        assert str(Path.home()).encode() + b"/" not in held, path
    # The builder takes the commit of the repository that it is installed in for its own.
    made = onnx.load(bundle / "model" / "model.onnx", load_external_data=False)
    assert made.producer_version == f"{runtime.__version__}+{runtime.__commit__[:7]}"


def _edit(name: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        held = read_json(folder / name)
        change(held)
        write_json(folder / name, held)

    return edit


def _cut(name: str) -> Callable[[Path], None]:
    def cut(folder: Path) -> None:
        path = folder / "model" / name
        path.write_bytes(path.read_bytes()[:-1000])

    return cut


def _graph(change: Callable[[onnx.ModelProto], Any]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "model" / "model.onnx"
        held = onnx.load(path, load_external_data=False)
        change(held)
        onnx.save(held, path)

    return edit


def _other_weight(folder: Path) -> None:
    path = folder / "model" / "model.onnx.data"
    held = bytearray(path.read_bytes())
    middle = len(held) // 2
    held[middle : middle + 4000] = bytes(4000)
    path.write_bytes(held)


def _outside(model: onnx.ModelProto) -> None:
    next(entry for entry in model.graph.initializer[0].external_data if entry.key == "location").value = "../x.data"


_GENAI, _LOCAL = "model/genai_config.json", "model/inference_model.json"


@pytest.mark.parametrize(
    ("name", "fault", "said"),
    [
        ("ends", _edit(_GENAI, lambda held: held["model"].update(eos_token_id=340)),
         "genai_config.json: answers do not end at <|assistant|> (341), <|end|> (343): the model would talk on"),
        ("weights", _cut("model.onnx"), "model.onnx: is no ONNX model, or is cut off"),
        ("weights", _cut("model.onnx.data"), "it is cut off"),
        ("weights", lambda folder: (folder / "model" / "model.onnx.data").unlink(), "model.onnx.data is missing"),
        ("weights", _graph(_outside), "lies in ../x.data, outside of model/"),
        ("settings", _edit(_LOCAL, lambda held: held["PromptTemplate"].update(user="User: {Content}\n")),
         "inference_model.json: PromptTemplate is not that of the chat template 'phi-3'"),
        ("settings", _edit(_LOCAL, lambda held: held.update(Name="support")),
         "inference_model.json: Name is 'support', expected 'support:1'"),
        ("settings", _edit(_GENAI, lambda held: held["model"].update(vocab_size=7)),
         "genai_config.json: vocab_size is 7, the model has 384"),
        ("settings", _edit(_GENAI, lambda held: held["model"].update(context_length=7)),
         "genai_config.json: context_length is 7, the model has 8,192"),
        ("settings", _edit(_GENAI, lambda held: held["model"].update(type="llama")),
         "genai_config.json: type is 'llama', expected 'phi3'"),
        ("settings", _edit(_GENAI, lambda held: held["model"]["decoder"]["session_options"].update(
            custom_ops_library="x.dll")), "custom_ops_library runs code when the model is loaded"),
        ("paths", _graph(lambda model: model.metadata_props.add(key="made", value="/home/ann/run/model.py")),
         "model/model.onnx names /home/ann/run/model.py"),
        ("paths", _graph(lambda model: setattr(model.graph.node[0], "doc_string", "C:\\Users\\ann\\run")),
         "model/model.onnx names C:\\Users\\ann\\run"),
        ("answers", _other_weight, "of 3 answers are those of deploy/expected.json"),
        ("prompt", _edit("model/tokenizer.json", lambda held: held.update(decoder=None)),
         f"{_RUNTIME} cuts the test request otherwise than the model learned, from token "),
    ],
)  # fmt: skip
def test_a_fault_is_found_by_its_check_though_the_manifest_knows_it(
    copy: Path, name: str, fault: Callable[[Path], None], said: str
) -> None:
    manifest = read(copy)
    fault(copy)
    assert next(each for each in verify(copy) if each.state == "failed").name == "files"
    seal(copy, manifest)
    found = {each.name: each.found for each in verify(copy) if each.state == "failed"}
    assert list(found) == [name]
    assert said in found[name]


@pytest.mark.parametrize("name", [_GENAI, _LOCAL, "model/model.onnx"])
def test_a_file_that_is_gone_fails_its_check_and_no_other(copy: Path, name: str) -> None:
    manifest = read(copy)
    (copy / name).unlink()
    seal(copy, manifest)
    found = _states(copy)
    assert "failed" in found.values()
    assert (found["safe"], found["tokenizer"], found["answers"]) == ("passed", "passed", "skipped")


def test_rounded_weights_may_answer_otherwise_and_it_says_how_often(copy: Path) -> None:
    manifest = read(copy)
    _other_weight(copy)
    manifest.facts["precision"] = "int4"
    seal(copy, manifest)
    found = verify(copy)[-1]
    assert (found.name, found.state) == ("answers", "passed")
    agreed = re.fullmatch(
        r"onnxruntime-genai [\d.]+ on the CPU: int4 chooses (\d+) of (\d+) tokens as fp32 does", found.found
    )
    assert agreed is not None
    assert int(agreed[1]) < int(agreed[2])


def _reference(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)


def _drawn(tokens: int) -> list[int]:
    found: list[int] = torch.randint(3, 338, (tokens,), generator=torch.Generator().manual_seed(tokens)).tolist()
    return found


@pytest.mark.slow
def test_past_longropes_window_it_answers_as_the_weights_do(bundle: Path, phi3: Path, tmp_path: Path) -> None:
    """An answer that crosses the window, one that begins past it, and a prompt that is read token by token."""
    export_model(phi3, tmp_path / "model", name="x", dtype="float32")
    reference, loaded = _reference(tmp_path / "model" / "model"), checks.load(bundle)
    ends = read(bundle).facts["eos_token_id"]
    for length in (_WINDOW - 8, _WINDOW + 14):
        prompt = _drawn(length)
        wanted = greedy(reference, prompt, ends)
        assert len(set(wanted)) > 12  # else equality would say little
        assert checks.greedy(loaded, prompt, 24) == wanted
    prompt = _drawn(40)
    assert _one_by_one(loaded, prompt) == greedy(reference, prompt, ends)


def _one_by_one(loaded: checks.Loaded, prompt: list[int]) -> list[int]:
    settings = runtime.GeneratorParams(loaded.model)
    settings.set_search_options(max_length=len(prompt) + 24, do_sample=False)
    generator = runtime.Generator(loaded.model, settings)
    for each in prompt:
        generator.append_tokens(np.array([[each]], dtype=np.int32))
    found = []
    while not generator.is_done():
        generator.generate_next_token()
        found.append(int(generator.get_next_tokens()[0]))
    return found


@pytest.mark.slow
def test_the_shapes_of_phi4_mini_answer_as_sample_lets_them(tmp_path: Path) -> None:
    """Partial rotary, tied embeddings, LongRoPE, byte-level tokens by the 200k regex, a template without newlines."""
    factors = {"short_factor": [1.0] * 24, "long_factor": [4.0] * 24}
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 0.75, **factors}
    made = _trained(
        tmp_path, _phi4_tokenizer(tmp_path / "tokenizer"), "phi-4-mini-instruct",
        hidden_size=128,
        num_attention_heads=2,
        num_key_value_heads=1,
        partial_rotary_factor=0.75, tie_word_embeddings=True, rope_parameters=rope,
        original_max_position_embeddings=_WINDOW, max_position_embeddings=2 * _WINDOW,
    )  # fmt: skip
    output = tmp_path / "mini"
    export_onnx(made, output, name="mini")
    found = {each.name: each for each in verify(output)}
    assert {each.state for each in found.values()} == {"passed"}, found
    assert read_json(output / _LOCAL)["PromptTemplate"] == {
        "system": "<|system|>{Content}<|end|>",
        "user": "<|user|>{Content}<|end|>",
        "assistant": "<|assistant|>{Content}<|end|>",
        "prompt": "<|user|>{Content}<|end|><|assistant|>",
    }
    trained, loaded = Trained(made), checks.load(output)
    asked = [trained.prompt(text) for text in ("Hello world", "Grüße, don't we?\n\nBye 12345", "日本?")]
    said = trained.answer(trained.load(base=False), asked, max_tokens=16, temperature=0)
    for prompt, sample in zip(asked, said, strict=True):
        ids = checks.greedy(loaded, prompt.ids, 16)
        words = ids[:-1] if ids[-1] in trained.ends else ids
        assert trained.tokenizer.decode(words) == sample.answer
        assert (len(words), ids[-1] in trained.ends) == (sample.tokens, sample.stopped)
        assert [int(each) for each in loaded.tokenizer.encode(sample.prompt)] == prompt.ids


@pytest.mark.slow
def test_for_another_provider_in_four_bits_without_questions_of_the_data(phi3: Path, tmp_path: Path) -> None:
    line = ["--to", "onnx", "--precision", "int4", "--provider", "webgpu", "--no-examples"]
    assert command(group, ["export", str(phi3), *line, "-o", str(tmp_path / "small")]) == 0
    assert read_json(tmp_path / "small" / "deploy" / "test_request.json")["messages"][0]["content"] == GREETING
    assert "The question is a greeting" in (tmp_path / "small" / "MODEL_CARD.md").read_text("utf-8")
    found = {each.name: each for each in verify(tmp_path / "small")}
    assert {each.state for each in found.values()} == {"passed"}, found
    assert " on the CPU: int4 chooses " in found["answers"].found
    session = read_json(tmp_path / "small" / _GENAI)["model"]["decoder"]["session_options"]
    assert [list(each) for each in session["provider_options"]] == [["webgpu"]]


def test_the_runtime_writes_every_template_of_the_family(bundle: Path) -> None:
    tokenizer = checks.load(bundle).tokenizer
    conversations = [
        [Message("user", "Hi")],
        [
            Message("system", "Be kind."),
            Message("user", " two\nlines "),
            Message("assistant", "Yes"),
            Message("user", "{x}"),
        ],
    ]
    for template in TEMPLATES.values():
        for messages in conversations:
            said = json.dumps([{"role": each.role, "content": each.content} for each in messages])
            found = tokenizer.apply_chat_template(said, template_str=to_jinja(template), add_generation_prompt=True)
            assert found == template.render(Conversation(messages), add_generation_prompt=True), template.name
        parts = exporting.inference_model("x", template)["PromptTemplate"]
        assert parts["prompt"].replace("{Content}", "Hi") == template.render(
            Conversation(conversations[0]), add_generation_prompt=True
        )
        assert ("system" in parts) == (template.around("system") is not None)


def test_what_cannot_be_exported_says_why(phi3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="--name 'a b': Foundry Local takes letters, digits, dots, - and _"):
        export_onnx(phi3, out, name="a b")
    with pytest.raises(UsageError, match="--precision fp16: for cpu take fp32 or int4"):
        export_onnx(phi3, out, name="a", precision="fp16")
    head = shutil.copytree(phi3, tmp_path / "head")
    text = (head / "config.toml").read_text("utf-8")
    (head / "config.toml").write_text(text.replace('kind = "lora"', 'kind = "classify"'), "utf-8")
    with pytest.raises(
        UsageError, match="holds a classification head, which writes no text: export it with --to model"
    ):
        export_onnx(head, out, name="a")
    monkeypatch.setattr(exporting, "_BUILDER", "onnxruntime_genai.models.nowhere")
    with pytest.raises(InputError, match=r"model builder failed: .*No module named onnxruntime_genai.models.nowhere"):
        export_onnx(phi3, out, name="a")
    assert [path.name for path in tmp_path.iterdir()] == ["head"]


_BUILDER = """
import os, pathlib, signal, sys, time
pathlib.Path(__file__).with_name("pid").write_text(str(os.getpid()))
time.sleep(0.5)  # until the export waits for it
os.kill(os.getppid(), signal.SIGTERM)
time.sleep(60)
"""


def test_sigterm_leaves_neither_the_builder_nor_half_a_bundle(
    phi3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    place = tmp_path / "module"
    place.mkdir()
    (place / "endless.py").write_text(_BUILDER, "utf-8")
    monkeypatch.setattr(exporting, "_BUILDER", "endless")
    monkeypatch.setenv("PYTHONPATH", str(place))

    def guard(*_: object) -> None:
        """Keep a signal that comes too late from ending the tests."""

    before = signal.signal(signal.SIGTERM, guard)
    try:
        assert command(group, ["export", str(phi3), "--to", "onnx", "-o", str(tmp_path / "out")]) == 130
        assert signal.getsignal(signal.SIGTERM) is guard
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsysbinary.readouterr().err == b"\ninterrupted\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int((place / "pid").read_text("utf-8")), 0)
    assert [path.name for path in tmp_path.iterdir()] == ["module"]


def test_without_the_extra_it_says_what_to_install(
    phi3: Path,
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    monkeypatch.setattr(options, "find_spec", lambda name: None if name.startswith("onnx") else object())
    assert command(group, ["export", str(phi3), "--to", "onnx", "-o", str(tmp_path / "out")]) == 2
    said = capsysbinary.readouterr().err
    assert b"error: phi3train export --to onnx needs the 'onnx' extra: pip install 'phi3kit[onnx]' " in said
    monkeypatch.setattr(checks, "INSTALLED", False)
    assert command(group, ["verify", str(bundle)]) == 0
    said = capsysbinary.readouterr().out
    assert b"skipped  weights    pip install 'phi3kit[onnx]' makes this check too\n" in said
    assert b"skipped  answers    pip install 'phi3kit[onnx]' makes this check too\n" in said


def test_a_tokenizer_without_a_model_beside_it_is_cut_as_its_file_says(bundle: Path, tmp_path: Path) -> None:
    """transformers 5 builds a LlamaTokenizer anew where no config.json tells it better: other first words of turns."""
    text = "<|user|>\nHello?<|end|>\n<|assistant|>\n"
    trained = read_json(bundle / "deploy" / "expected.json")["answers"][0]["prompt"]
    handed = AutoTokenizer.from_pretrained(bundle / "model", local_files_only=True)
    assert handed(text, add_special_tokens=False)["input_ids"] == trained
    named = AutoTokenizer.from_pretrained(_phi3_tokenizer(tmp_path / "named"), local_files_only=True)
    assert named(text, add_special_tokens=False)["input_ids"] != trained
