"""Whole runs of a tiny model on the CPU."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import phi3data
from phi3data.chat import Conversation, Message
from phi3data.errors import OutputError, UsageError
from phi3train import settings
from phi3train.data.order import MicroBatches
from phi3train.devices import here
from phi3train.folder import MARKER, Progress, RunFolder
from phi3train.generation import prompts
from phi3train.guards import NotFiniteError
from phi3train.job import Job, make
from phi3train.loading import load_model, load_tokenizer
from phi3train.measuring import Trained
from phi3train.plan.memory import GIB
from phi3train.plan.plan import Device
from phi3train.preview import preview
from phi3train.recording import Recorder
from phi3train.run import run
from phi3train.trainer import ReadyTrainer
from tests.train.tiny import config, longrope, write_chats, write_model

if TYPE_CHECKING:
    from phi3train.config import Config

_CLOCK = ("seconds", "tokens_per_second")


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of metrics or samples, without what a clock says."""
    read = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key not in _CLOCK} for line in read]


def _overfit(model: Path, chats: Path, output: Path, **values: Any) -> Config:
    defaults = {
        "data__validation": str(chats),
        "method__kind": "full",
        "train__learning_rate": 3e-3,
        "train__batch_tokens": 200,
        "train__epochs": 20,
        "packing__length": 64,
        "evaluation__every": 40,
        "samples__count": 2,
        "samples__max_tokens": 12,
    }
    return config(model, chats, output, **(defaults | values))


@pytest.fixture(scope="module")
def done(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that has learned ten chats by heart."""
    folder = tmp_path_factory.mktemp("done")
    chats = write_chats(folder / "chats.jsonl", 10)
    made = _overfit(model, chats, folder / "run", train__epochs=100, train__learning_rate=6e-3)
    assert run(made).state == "done"
    return folder / "run"


def test_the_loss_falls(done: Path) -> None:
    losses = [line["loss"] for line in _lines(done / "metrics.jsonl") if "loss" in line]
    assert losses[0] > 5
    assert losses[-1] < 0.1


def test_the_folder_tells_all_of_it(done: Path) -> None:
    state = json.loads((done / "run.json").read_text("utf-8"))
    account = json.loads((done / "data.json").read_text("utf-8"))
    plan = json.loads((done / "plan.json").read_text("utf-8"))
    last = [line for line in _lines(done / "metrics.jsonl") if "loss" in line][-1]
    assert state["state"] == "done"
    assert state["step"] == state["steps"] == last["step"] == plan["predicted"]["steps"]["total"]
    assert state["tokens"] == last["tokens"] == 100 * account["train"]["tokens"]
    assert state["supervised_tokens"] == 100 * account["train"]["supervised_tokens"]
    assert state["conversations"] == 100 * account["train"]["rows"]
    assert plan["measured"]["tokens_per_second"] > 0
    assert settings.load(done / "config.toml").output == str(done)
    assert "Hello" in (done / "preview.html").read_text("utf-8")
    assert not list(done.glob("*.part"))
    assert len(list((done / "checkpoints").iterdir())) == 2


def test_a_trained_model_stops_and_answers_as_it_was_taught(done: Path) -> None:
    found = Trained(done).evaluate(None, answers=20, max_tokens=12)
    assert found.trained.answers is not None
    assert found.trained.answers.prompts == 10
    assert found.trained.answers.stop_rate == 1
    assert found.trained.answers.exact_match >= 0.9
    assert found.base.answers is not None
    assert found.base.answers.exact_match == 0
    assert found.trained.perplexity < 1.5 < 100 < found.base.perplexity
    best = min(line["eval_loss"] for line in _lines(done / "metrics.jsonl") if "eval_loss" in line)
    assert found.trained.loss == pytest.approx(best, rel=1e-5)
    assert json.loads((done / "eval.json").read_text("utf-8"))["trained"]["loss"] == found.trained.loss


def test_a_trained_model_stops_in_19_of_20_samples(done: Path) -> None:
    """Drawn, not the likeliest: each prompt is answered twice."""
    trained = Trained(done)
    asked = prompts(trained.data(None).rows, 10, trained.ends) * 2
    drawn = trained.answer(trained.load(base=False), asked, max_tokens=12, temperature=0.7)
    assert len(drawn) == 20
    assert sum(sample.stopped for sample in drawn) >= 19


def test_the_prompt_of_a_text_is_that_of_a_row(done: Path) -> None:
    trained = Trained(done)
    (sample,) = trained.answer(trained.load(base=False), [trained.prompt("Say bye")], max_tokens=12, temperature=0)
    assert sample.answer.replace("▁", " ").split() == ["Bye", "bye"]
    assert sample.stopped


def test_samples_are_written_at_each_evaluation(done: Path) -> None:
    evaluated = [line["step"] for line in _lines(done / "metrics.jsonl") if "eval_loss" in line]
    samples = _lines(done / "samples.jsonl")
    assert [sample["step"] for sample in samples] == [step for step in evaluated for _ in range(2)]
    assert samples[-1]["stopped"] is True


def test_a_folder_that_holds_a_run_is_not_written_to(done: Path, tmp_path: Path) -> None:
    made = settings.load(done / "config.toml")
    with pytest.raises(OutputError, match=r"holds a run \(done\): go on with --resume auto, or choose another output"):
        run(made)
    assert run(made, resume=True).state == "done"
    with pytest.raises(OutputError, match=r"holds a run of another configuration \(this one has: epochs = 2.0\)"):
        run(settings.load(done / "config.toml", {"train.epochs": 2.0}), resume=True)
    (tmp_path / "letters.txt").write_text("Dear …", "utf-8")
    with pytest.raises(OutputError, match="is no run folder and not empty"):
        run(settings.load(done / "config.toml", {"output": str(tmp_path)}))


def test_nothing_leaves_the_machine(model: Path, chats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def resolve(*args: object, **_: object) -> list[object]:
        asked.append(args)
        return []

    monkeypatch.setattr(socket.socket, "connect", lambda _, address: asked.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    run(_overfit(model, chats, tmp_path / "run", train__max_steps=2, method__kind="lora"))
    assert asked == []


def test_a_poisoned_row_is_named_before_the_update(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    model = write_model(tmp_path / "model")
    chats = write_chats(tmp_path / "chats.jsonl", 10)
    weights = load_file(model / "model.safetensors")
    made = _overfit(model, chats, tmp_path / "run", train__save_every=1)
    from phi3train.data.rows import RowMaker, read
    from phi3train.models import find

    maker = RowMaker(made, find(made.model))
    rows = [maker.row(each) for each in read(chats, _source())]
    token = next(iter(set(rows[5].ids.tolist()) - {id_ for row in rows if row is not rows[5] for id_ in row.ids}))  # type: ignore[union-attr]
    weights["model.embed_tokens.weight"][token] = torch.nan
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(NotFiniteError, match=rf"Rows whose loss is not finite: {chats}:6$"):
        run(made)
    state = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    assert state["state"] == "failed"
    assert f"{chats}:6" in state["error"]


def _source() -> Any:
    from phi3data.sources.reader import SourceConfig

    return SourceConfig()


def test_a_spike_names_its_rows(model: Path, tmp_path: Path) -> None:
    """Thirty times the same chat, and one that nothing prepares for, seen once they are known by heart."""
    chats = tmp_path / "chats.jsonl"
    row = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
    odd = {"messages": [{"role": "user", "content": "日本"}, {"role": "assistant", "content": "xyz 語 qqq"}]}
    lines = [json.dumps(row)] * 60
    lines[_last_of_the_first_epoch(61)] = json.dumps(odd)
    chats.write_text("\n".join([*lines, json.dumps(row)]) + "\n", "utf-8")
    values = {"train__batch_size": 1, "train__epochs": 1, "packing__enabled": False, "train__schedule": "constant"}
    run(_overfit(model, chats, tmp_path / "run", **values, train__learning_rate=1e-2, samples__count=0))
    spikes = [line for line in _lines(tmp_path / "run" / "metrics.jsonl") if "spike" in line]
    assert spikes[0]["spike"]["rows"] == [f"{chats}:{_last_of_the_first_epoch(61) + 1}"]
    assert spikes[0]["loss"] > spikes[0]["spike"]["usual"] + 1
    assert len(spikes) <= 2  # the step after it may be one more


def _last_of_the_first_epoch(rows: int) -> int:
    """Return a row that comes late: the trainer's order follows from the seed."""
    order = [row for (row,) in MicroBatches([False] * rows, 1, seed=0).epoch(0)]
    return next(row for row in order[40:] if row < rows - 1)


def test_adapters_on_llamas_names_are_refused(model: Path, chats: Path, tmp_path: Path) -> None:
    made = config(model, chats, tmp_path / "run", method__targets=["q_proj", "o_proj"])
    with pytest.raises(UsageError, match="its linear layers are qkv_proj, o_proj, gate_up_proj, down_proj"):
        run(made)
    assert not (tmp_path / "run").exists()


def test_a_preview_that_is_not_what_is_trained_is_none(
    model: Path, chats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make(_overfit(model, chats, tmp_path / "run"), here()[1], "fp32")
    other = Conversation([Message("user", "Hi"), Message("assistant", "no")])
    monkeypatch.setattr("phi3train.data.rows.RowMaker.shown", lambda *_: other)
    with pytest.raises(AssertionError, match="the preview is not what would be trained on"):
        preview(job, 1)


@pytest.mark.parametrize("kind", ["full", "lora", "dora"])
def test_the_trainer_gets_what_preview_shows(model: Path, chats: Path, tmp_path: Path, kind: str) -> None:
    made = _overfit(model, chats, tmp_path / "run", method__kind=kind)
    _, device = here()
    job: Job = make(made, device, "fp32")
    shown = preview(job, 8)
    folder = RunFolder(tmp_path / "run")
    tokenizer = load_tokenizer(job.model)
    recorder = Recorder(job, folder, Progress(), tokenizer, [], [])
    trainer = ReadyTrainer(job, load_model(made, job.model, "fp32", "cpu"), tokenizer, folder, recorder, "cpu")
    trained: list[tuple[int, bool]] = []
    for batch in trainer.get_train_dataloader():
        labels = batch["labels"].clone()
        trained += zip(batch["input_ids"].flatten().tolist(), (labels != -100).flatten().tolist(), strict=True)
        if len(trained) > 400:
            break
    expected = [(token.id, token.supervised) for each in shown for token in each.tokens or []]
    assert trained[: len(expected)] == expected


def test_the_best_model_is_kept_and_a_run_without_progress_ends(model: Path, chats: Path, tmp_path: Path) -> None:
    made = _overfit(
        model,
        chats,
        tmp_path / "run",
        train__learning_rate=3.0,  # nothing is learned like that
        train__max_steps=30,
        evaluation__every=2,
        evaluation__patience=2,
        samples__count=0,
    )
    ran = run(made)
    assert ran.progress.step < 30
    assert ran.progress.waited == 2
    assert ran.progress.step == ran.progress.best_step + 2 * 2  # type: ignore[operator]
    assert Trained(tmp_path / "run").evaluate(None, answers=0, max_tokens=1).trained.loss == pytest.approx(
        ran.progress.best, rel=1e-5
    )


@pytest.mark.parametrize(
    "values",
    [
        {"packing__enabled": False, "train__optimizer": "adafactor", "train__schedule": "linear"},
        {"train__label_smoothing": 0.1, "train__optimizer": "sgd", "train__schedule": "constant"},
        {"train__loss": "dft", "train__checkpointing": True, "method__kind": "lora"},
        {"train__precision": "bf16", "model__attention": "eager", "method__kind": "full"},
        {"model__attention": "varlen", "method__kind": "dora", "method__dropout": 0.1},
    ],
)
def test_every_option_trains(model: Path, chats: Path, tmp_path: Path, values: dict[str, Any]) -> None:
    made = _overfit(model, chats, tmp_path / "run", train__max_steps=4, samples__count=0, **values)
    assert run(made).progress.step == 4
    losses = [line["loss"] for line in _lines(tmp_path / "run" / "metrics.jsonl") if "loss" in line]
    assert len(losses) == 4
    assert all(0 < loss < 10 for loss in losses)


def test_accumulated_micro_batches_are_one_step(model: Path, chats: Path, tmp_path: Path) -> None:
    values = {"train__max_steps": 4, "samples__count": 0, "train__batch_tokens": 240, "packing__enabled": False}
    whole = _overfit(model, chats, tmp_path / "whole", **values)
    parts = _overfit(model, chats, tmp_path / "parts", **values, train__micro_batch=1)
    run(whole)
    run(parts)
    one, many = (_lines(tmp_path / name / "metrics.jsonl") for name in ("whole", "parts"))
    assert sum("loss" in line for line in one) == 4
    for left, right in zip(one[-1:], many[-1:], strict=True):
        assert left["eval_loss"] == pytest.approx(right["eval_loss"], rel=0.05)


def test_half_a_checkpoint_is_none(done: Path, tmp_path: Path) -> None:
    folder = RunFolder(shutil.copytree(done, tmp_path / "run"))
    newest, progress = folder.latest() or pytest.fail("there are two")
    (newest / MARKER).unlink()
    older, before = folder.latest() or pytest.fail("there is one")
    assert before.step < progress.step
    folder.go_back(before)
    assert not newest.exists()
    assert older.exists()
    assert max(line["step"] for line in _lines(folder.metrics)) == before.step


def test_tensorboard_gets_losses_and_evaluations(model: Path, chats: Path, tmp_path: Path) -> None:
    events = import_module("tensorboard.backend.event_processing.event_accumulator")
    run(_overfit(model, chats, tmp_path / "run", train__max_steps=3, train__tensorboard=True, samples__count=0))
    board = events.EventAccumulator(str(tmp_path / "run" / "logs"))
    board.Reload()
    lines = _lines(tmp_path / "run" / "metrics.jsonl")
    losses = [line["loss"] for line in lines if "loss" in line]
    assert [each.value for each in board.Scalars("train/loss")] == pytest.approx(losses)
    assert [each.value for each in board.Scalars("eval/loss")] == pytest.approx([lines[-1]["eval_loss"]])


@pytest.mark.slow
def test_the_real_tokenizer_and_vocabulary(shared: Path, tmp_path: Path) -> None:
    model = write_model(
        tmp_path / "model",
        tokenizer=shared / "tokenizers" / "phi-3-mini",
        vocab_size=32064,
        max_position_embeddings=4096,
        bos_token_id=1,
        eos_token_id=32000,
        pad_token_id=32000,
    )
    chats = write_chats(tmp_path / "chats.jsonl", 30, 3)
    made = _overfit(model, chats, tmp_path / "run", train__max_steps=25, train__learning_rate=1e-2)
    run(made)
    saved = json.loads((tmp_path / "run" / "best" / "generation_config.json").read_text("utf-8"))
    assert saved["eos_token_id"] == [32000, 32001, 32007]
    trained = Trained(tmp_path / "run")
    samples = trained.answer(trained.load(base=False), [trained.prompt("Say bye")], max_tokens=12, temperature=0)
    assert samples[0].prompt == "<|user|> Say bye<|end|><|assistant|>"
    assert trained.evaluate(None, answers=0, max_tokens=1).trained.loss < 3


def test_a_full_disk_says_what_to_do(model: Path, chats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full from the sixth line of metrics on: as the system says it, without filling one."""
    append = RunFolder.append

    def full(self: RunFolder, path: Path, value: Any) -> int:
        if value.get("step", 0) > 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return append(self, path, value)

    made = _overfit(model, chats, tmp_path / "run", train__max_steps=10, train__save_every=2, samples__count=0)
    monkeypatch.setattr(RunFolder, "append", full)
    with pytest.raises(OutputError) as error:
        run(made)
    assert str(error.value) == (
        f"{tmp_path / 'run'}: the disk is full: make room, then the run goes on with phi3train run --resume auto "
        f"(newest checkpoint in {tmp_path / 'run' / 'checkpoints'})"
    )
    monkeypatch.undo()
    ran = run(made, resume=True)
    assert (ran.state, ran.progress.step) == ("done", 10)
    assert [line["step"] for line in _lines(tmp_path / "run" / "metrics.jsonl") if "loss" in line] == list(range(1, 11))


def test_changed_data_is_not_gone_on_with(model: Path, tmp_path: Path) -> None:
    chats = write_chats(tmp_path / "chats.jsonl", 10)
    made = _overfit(model, chats, tmp_path / "run", train__max_steps=1, samples__count=0)
    run(made)
    state = tmp_path / "run" / "run.json"
    state.write_text(state.read_text("utf-8").replace('"done"', '"interrupted"'), "utf-8")
    write_chats(chats, 11)
    with pytest.raises(OutputError, match=r"chats\.jsonl: changed since the run in .* began"):
        run(made, resume=True)


def test_a_run_goes_on_as_it_was_planned_on_another_machine(
    model: Path, chats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second half runs elsewhere, with room for one row at a time: rows and order stay those of the first."""
    values = {"train__max_steps": 6, "train__save_every": 3, "samples__count": 0, "packing__enabled": False}
    made = _overfit(model, chats, tmp_path / "run", **values)
    run(made)
    first = _lines(tmp_path / "run" / "metrics.jsonl")
    newest, _ = RunFolder(tmp_path / "run").latest() or pytest.fail("there are two")
    shutil.rmtree(newest)
    state = tmp_path / "run" / "run.json"
    state.write_text(state.read_text("utf-8").replace('"done"', '"interrupted"'), "utf-8")
    monkeypatch.setattr("phi3train.run.here", lambda: ("cpu", Device(memory=1.07 * GIB)))
    (tmp_path / "run").rename(tmp_path / "moved")
    moved = msgspec.structs.replace(made, output=str(tmp_path / "moved"))
    assert run(moved, resume=True).state == "done"
    assert _lines(tmp_path / "moved" / "metrics.jsonl") == first


@pytest.mark.parametrize("changes", [{"tie_word_embeddings": True}, longrope(window=25)])
def test_the_other_kinds_of_models_train(tmp_path: Path, changes: dict[str, Any]) -> None:
    model = write_model(tmp_path / "model", **changes)
    chats = write_chats(tmp_path / "chats.jsonl", 40, 3)
    made = _overfit(model, chats, tmp_path / "run", train__max_steps=30, train__save_every=30, train__micro_batch=None)
    run(made)
    losses = [line["loss"] for line in _lines(tmp_path / "run" / "metrics.jsonl") if "loss" in line]
    assert losses[-1] < losses[0] / 2
    found = Trained(tmp_path / "run").evaluate(None, answers=0, max_tokens=1)
    assert found.trained.loss < found.base.loss / 2


def test_an_epoch_of_two_kinds_of_rows_is_a_whole_epoch(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", **longrope(window=25))
    chats = write_chats(tmp_path / "chats.jsonl", 36, 3)
    values = {"train__batch_size": 4, "train__epochs": 1, "packing__enabled": False, "samples__count": 0}
    ran = run(_overfit(model, chats, tmp_path / "run", **values, train__micro_batch=2))
    assert ran.progress.conversations == 36
    account = json.loads((tmp_path / "run" / "data.json").read_text("utf-8"))
    assert ran.progress.tokens == account["train"]["tokens"]


@pytest.mark.slow
def test_sample_data_from_prepare_to_evaluation(sample_data: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", max_position_embeddings=400)
    recipe = {"length": {"tokenizer": str(model), "limit": 400}}
    phi3data.prepare([sample_data / "faq.csv", sample_data / "howto.alpaca.json"], recipe, tmp_path / "data")
    made = config(
        model,
        tmp_path / "data",
        tmp_path / "run",
        method__kind="full",
        train__learning_rate=1e-2,
        train__batch_tokens=2400,
        train__max_steps=25,
        packing__length=1200,
        samples__count=1,
        samples__max_tokens=5,
    )
    assert run(made).state == "done"
    losses = [line["loss"] for line in _lines(tmp_path / "run" / "metrics.jsonl") if "loss" in line]
    assert losses[-1] < losses[0] - 1
    found = Trained(tmp_path / "run").evaluate(None, answers=2, max_tokens=5)
    assert found.data == str(tmp_path / "data" / "validation.jsonl")
    assert found.trained.perplexity < found.base.perplexity / 2
    account = json.loads((tmp_path / "run" / "data.json").read_text("utf-8"))["train"]
    assert account["packing_efficiency"] > 0.9
    assert account["dropped_rows"] == []


def _start(made: Config, path: Path) -> subprocess.Popen[bytes]:
    path.write_text(settings.to_toml(made), "utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "phi3train", "run", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def _wait_for_steps(process: subprocess.Popen[bytes], metrics: Path, number: int) -> None:
    while process.poll() is None and (not metrics.exists() or len(metrics.read_bytes().splitlines()) < number):
        time.sleep(0.01)


_SAVING = {
    "method__dropout": 0.1,
    "train__max_steps": 60,
    "train__save_every": 7,
    "evaluation__every": 9,
    "samples__max_tokens": 3,
}


@pytest.fixture(scope="module", params=["full", "lora"])
def undisturbed(
    request: pytest.FixtureRequest, model: Path, chats: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A method, and a run by it that nobody ended."""
    output = tmp_path_factory.mktemp("undisturbed") / "run"
    run(_overfit(model, chats, output, method__kind=request.param, **_SAVING))
    return request.param, output


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_was_ended_goes_on_to_the_same_end(
    model: Path, chats: Path, tmp_path: Path, undisturbed: tuple[str, Path], number: signal.Signals
) -> None:
    kind, whole = undisturbed
    disturbed = _overfit(model, chats, tmp_path / "disturbed", method__kind=kind, **_SAVING)
    process = _start(disturbed, tmp_path / "train.toml")
    _wait_for_steps(process, tmp_path / "disturbed" / "metrics.jsonl", 18)
    process.send_signal(number)
    said = process.communicate()[1].decode()
    assert process.returncode == (130 if number == signal.SIGTERM else -number), said
    folder = RunFolder(tmp_path / "disturbed")
    _, progress = folder.latest() or pytest.fail("it has saved")
    assert 7 <= progress.step < disturbed.train.max_steps  # type: ignore[operator]
    if number == signal.SIGTERM:
        assert folder.state()["state"] == "interrupted"
        assert "SIGTERM: saving after this step" in said
    assert run(disturbed, resume=True).state == "done"
    for name in ("metrics.jsonl", "samples.jsonl"):
        assert _lines(tmp_path / "disturbed" / name) == _lines(whole / name)
    last = f"checkpoints/checkpoint-{disturbed.train.max_steps}"
    weights = "model.safetensors" if kind == "full" else "adapter_model.safetensors"
    for place in (f"{last}/{weights}", f"best/{weights}"):
        assert (tmp_path / "disturbed" / place).read_bytes() == (whole / place).read_bytes()
