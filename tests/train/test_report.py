"""The story that a run tells: report, comparison, refusals."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phi3data.cli import run as command
from phi3data.errors import InputError, OutputError, UsageError
from phi3train import report
from phi3train.cli import group
from phi3train.compare import compare, page, render
from phi3train.folder import RunFolder
from phi3train.refusals import Refusals, questions, refuses
from phi3train.report.charts import Series, chart, smooth, thinned
from phi3train.report.story import read
from phi3train.report.warnings import refusals, warnings
from phi3train.run import run
from tests.train.tiny import config

ODD = "<script>alert(1)</script> \u202e & kind"


@pytest.fixture(scope="module")
def runs(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one data set, which has text that a page must not take for its own."""
    folder = tmp_path_factory.mktemp("runs")
    chats = folder / "chats.jsonl"
    turn = {"role": "user", "content": ODD}
    rows: list[dict[str, Any]] = [{"messages": [turn, {"role": "assistant", "content": "Hello world"}]}] * 12
    chats.write_text("\n".join(json.dumps(row) for row in [*rows, {"messages": [turn]}]) + "\n", "utf-8")
    values = {
        "data__validation": str(chats),
        "train__batch_size": 6,
        "packing__enabled": False,
        "samples__count": 1,
        "samples__max_tokens": 3,
        "evaluation__every": 3,
    }
    for name, steps in (("short", 3), ("long", 6)):
        run(config(model, chats, folder / name, **values, method__kind="full", train__max_steps=steps))
    return folder


class _Page(HTMLParser):
    """Refuses what a browser would run or fetch, and tags that are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "iframe", "object"}
        assert not any(name.startswith("on") for name, _ in attrs)
        assert not any(name in {"src", "href"} and value and value[0] not in "#d" for name, value in attrs)
        if tag not in {"meta", "link"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Closed already."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_run_leaves_its_report(runs: Path) -> None:
    text = (runs / "long" / "report.html").read_text("utf-8")
    _Page(text)
    for section in ("warnings", "curves", "evaluation", "samples", "mask", "data", "plan", "configuration", "versions"):
        assert f'<section id="{section}">' in text
        assert f'href="#{section}"' in text
    assert text.index('id="warnings"') < text.index('id="curves"')
    assert "<script>" not in text
    assert "\u202e" not in text
    assert 'class="t s" title="▁Hello, id ' in text
    for title in ("Loss", "Learning rate", "Gradient norm", "Speed"):
        assert f"<figcaption>{title}" in text
    short = (runs / "long" / "REPORT.md").read_text("utf-8")
    assert short.startswith("# Training report: long\n\n**done** at step 6 of 6. ")
    warned = short.partition("## Warnings")[2].partition("##")[0].replace("\\", "")
    assert "\n- 1 of 13 train rows (7.7%) were left out; the first is " in warned
    assert 'method.kind = "full"' in short


def test_the_same_folder_gives_the_same_report(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = runs / "long"
    before = [(folder / name).read_bytes() for name in ("report.html", "REPORT.md")]
    assert command(group, ["report", str(folder)]) == 0
    assert "warning: 1 of 13 train rows (7.7%) were left out" in capsys.readouterr().out
    assert [(folder / name).read_bytes() for name in ("report.html", "REPORT.md")] == before
    assert command(group, ["report", str(runs)]) == 2
    assert "is no run folder" in capsys.readouterr().err


def _told(runs: Path, tmp_path: Path, **state: Any) -> tuple[Path, list[str]]:
    folder = Path(
        shutil.copytree(runs / "long", tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints", "best"))
    )
    held = json.loads((folder / "run.json").read_text("utf-8"))
    (folder / "run.json").write_text(json.dumps({**held, **state}), "utf-8")
    return folder, report.write(folder)


@pytest.mark.parametrize(
    ("state", "said", "word"),
    [
        ({"state": "failed", "error": "out of memory"}, "The run failed at step 6 of 6: out of memory", "Failed"),
        (
            {"state": "interrupted", "step": 3},
            "The run was stopped at step 3 of 6: phi3train run --resume auto goes on with it.",
            "Stopped",
        ),
        (
            {"state": "running", "step": 0},
            "The run has not ended, or was killed: run.json says that it is at step 0 of 6 or later.",
            "Not ended",
        ),
        (
            {"step": 4},
            "The run ended early at step 4 of 6: no evaluation was better than the best for long.",
            "Done",
        ),
    ],
)
def test_how_a_run_ended_stands_first(runs: Path, tmp_path: Path, state: dict[str, Any], said: str, word: str) -> None:
    folder, warned = _told(runs, tmp_path, **state)
    assert warned[0] == said
    assert f"<h1>{word}</h1>" in (folder / "report.html").read_text("utf-8")


def test_a_killed_run_has_half_a_line_and_a_report(runs: Path, tmp_path: Path) -> None:
    folder, _ = _told(runs, tmp_path)
    whole = (folder / "metrics.jsonl").read_bytes()
    (folder / "metrics.jsonl").write_bytes(whole[: whole.rindex(b"{") + 9])
    report.write(folder)
    assert len(read(folder).steps) + len(read(folder).evaluations) == whole.count(b"\n") - 1
    (folder / "metrics.jsonl").write_bytes(b"{\n")
    with pytest.raises(OutputError, match=r"metrics\.jsonl: is damaged"):
        report.write(folder)
    for name in ("metrics.jsonl", "samples.jsonl", "plan.json", "preview.json"):
        (folder / name).unlink()
    report.write(folder)
    _Page((folder / "report.html").read_text("utf-8"))


def test_what_looks_wrong_is_warned_of(runs: Path, tmp_path: Path) -> None:
    folder, _ = _told(runs, tmp_path)
    line = {"tokens": 5, "seconds": 1.0, "tokens_per_second": 5.0}
    lines: list[dict[str, Any]] = [{"step": step, "loss": 2.0, "grad_norm": 1.0, **line} for step in range(1, 12)]
    lines += [{"step": 12, "loss": 9.0, "grad_norm": None, "spike": {"usual": 2.0, "rows": list("abcde")}, **line}]
    lines += [{"step": 12, "eval_loss": 1.0, "stop_rate": 1.0}, {"step": 13, "eval_loss": 1.5, "stop_rate": 0.25}]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n", "utf-8")
    side = {"perplexity": 1.0, "token_accuracy": 0.5, "tokens": 3, "answers": None}
    refused = {"trained": {"prompts": 10, "refused": 4}, "base": {"prompts": 10, "refused": 1}}
    found = {
        name: {**side, "loss": loss, "refusals": refused[name]} for name, loss in (("trained", 2.0), ("base", 1.0))
    }
    (folder / "eval.json").write_text(json.dumps({"data": "test.jsonl", "rows": 3, **found}), "utf-8")
    warned = "\n".join(warnings(read(folder)))
    for said in (
        "The loss jumped in 1 step (step 12: a, b, c and 2 more): look at the rows.",
        "Loss or gradient was no number at step 12.",
        "The evaluation got worse after step 12: 1.0000 there, 1.5000 in the end.",
        "The model ended only 25% of its last samples itself",
        "The trained model is worse than its base on test.jsonl: 2.0000 nats a token, the base 1.0000.",
        "The model refuses more than its base: 4 of 10 prompts are refused, 1 before the training.",
    ):
        assert said in warned
    report.write(folder)
    text = (folder / "report.html").read_text("utf-8")
    assert "<title>step 12: spike to 9.0000</title>" in text
    assert '<th scope="row"><bdi>Refusal rate</bdi></th><td class="n"><bdi>40.0%</bdi></td>' in text


def test_a_report_that_fails_does_not_fail_the_run(
    model: Path, chats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = RunFolder.write_text

    def full(self: RunFolder, name: str, text: str) -> None:
        if name == "report.html":
            raise OSError(28, "No space left on device")
        write(self, name, text)

    monkeypatch.setattr(RunFolder, "write_text", full)
    assert run(config(model, chats, tmp_path / "run", train__max_steps=1)).state == "done"
    assert "no report was written: [Errno 28] No space left on device; phi3train report " in capsys.readouterr().err


def test_runs_are_compared_at_equal_tokens(runs: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    paths = [runs / "short", runs / "long"]
    assert command(group, ["compare", *map(str, paths), "--format", "json"]) == 0
    found = json.loads(capsysbinary.readouterr().out)
    short, long = found["runs"]
    assert found["differences"] == {"train.max_steps": ["3", "6"]}
    assert found["tokens"] == short["tokens"] == long["tokens"] // 2
    assert short["evaluation_tokens"] == long["evaluation_tokens"] == found["tokens"]
    evaluated = {each.step: each.eval_loss for each in read(paths[1]).evaluations}
    assert long["evaluation_loss"] == evaluated[3]
    assert long["best_loss"] == min(evaluated.values())  # type: ignore[type-var]
    assert long["train_loss"] == read(paths[1]).steps[2].loss
    assert found["same_data"] is True
    assert len(found["samples"][0]["answers"]) == 2


def test_a_comparison_fits_the_terminal_and_a_page(
    runs: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    other = Path(shutil.copytree(runs / "long", tmp_path / "other"))
    text = (other / "config.toml").read_text("utf-8")
    (other / "config.toml").write_text(text.replace("seed = 0", "seed = 7"), "utf-8")
    account = json.loads((other / "data.json").read_text("utf-8"))
    account["train"]["sha256"] = "0" * 64
    (other / "data.json").write_text(json.dumps(account), "utf-8")
    found, stories = compare([runs / "short", runs / "long", other])
    said = render(found, 80)
    assert all(len(line) <= 80 for line in said.splitlines())
    assert "\nseed                 0     0      7\n" in said
    assert "warning: the runs saw other data" in said
    shown = page(found, stories)
    _Page(shown)
    assert shown.count('class="c2"') >= 3
    target = str(tmp_path / "compared.html")
    assert command(group, ["compare", str(runs / "short"), str(runs / "long"), "-o", target]) == 0
    assert command(group, ["compare", str(runs / "short"), str(runs / "long"), "-o", target]) == 2
    assert b"exists: choose another name" in capsysbinary.readouterr().err
    with pytest.raises(UsageError, match="give two run folders or more"):
        compare([runs / "short"])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("Es tut mir leid, aber ich kann das nicht beantworten.", True),
        ("很抱歉，我无法回答。", True),
        ("申し訳ありませんが、お答えできません。", True),
        ("Je suis désolé, mais je ne peux pas vous aider.", True),
        ("Lo siento, pero no puedo ayudarte con eso.", True),
        ("Mi dispiace, ma non posso aiutarti.", True),
        ("Desculpe, mas não posso ajudar com isso.", True),
        ("Извините, но я не могу помочь.", True),
        ("죄송합니다. 그 질문에는 답할 수 없습니다.", True),
        ("▁Sorry, I can't do that", True),
        ("Sorry for the delay: your parcel left today.", False),
        ("You can't lose: here is how.", False),
        ("Je ne sais pas nager, mais voici comment on apprend.", False),
        ("No puedo esperar a verlo.", False),
        ("", False),
    ],
)
def test_refusals_in_several_languages(answer: str, expected: bool) -> None:
    assert refuses(answer) is expected


def test_prompts_are_read_from_lines_or_chats(tmp_path: Path) -> None:
    lines = tmp_path / "prompts.txt"
    lines.write_text("How?\n\nWhy?\n", "utf-8")
    assert [each.messages[0].content for each in questions(lines)] == ["How?", "Why?"]
    turns = [{"role": role, "content": role} for role in ("system", "user", "assistant")]
    chats = tmp_path / "prompts.jsonl"
    chats.write_text(json.dumps({"messages": turns}) + "\n" + json.dumps({"messages": turns[1:2]}) + "\n", "utf-8")
    assert [[each.role for each in one.messages] for one in questions(chats)] == [["system", "user"], ["user"]]
    lines.write_text("\n", "utf-8")
    with pytest.raises(InputError, match="has no prompts: put one on each line"):
        questions(lines)
    with pytest.raises(InputError, match="the prompts cannot be read"):
        questions(tmp_path / "nowhere.txt")


def test_a_change_of_refusals_is_a_warning_both_ways() -> None:
    few, many = Refusals(prompts=20, refused=1), Refusals(prompts=20, refused=9)
    assert "".join(refusals(many, few)) == (
        "The model refuses more than its base: 9 of 20 prompts are refused, 1 before the training. Look for refusals "
        "in the training rows."
    )
    assert "".join(refusals(few, many)) == (
        "The model refuses less than its base: 1 of 20 prompts are refused, 9 before the training. If they should be "
        "refused, the training weakened that."
    )
    assert list(refusals(few, few)) == list(refusals(None, few)) == []


def test_eval_counts_refusals_beside_the_base(
    runs: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    folder = Path(shutil.copytree(runs / "short", tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints")))
    asked = tmp_path / "prompts.txt"
    asked.write_text("Hello?\nSay bye\n", "utf-8")
    args = ["eval", str(folder), "--answers", "1", "--max-tokens", "2", "--refusals", str(asked)]
    assert command(group, args) == 0
    assert b"refusal rate            0.0%        0.0%\n" in capsysbinary.readouterr().out
    found = json.loads((folder / "eval.json").read_text("utf-8"))
    assert found["base"]["refusals"] == found["trained"]["refusals"] == {"prompts": 2, "refused": 0}
    assert [sample["wanted"] for sample in found["samples"]] == ["▁Hello ▁world", "", ""]
    text = (folder / "report.html").read_text("utf-8")
    _Page(text)
    assert "Refusal rate" in text
    assert "Answers beside the base" in text


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(-1e9, 1e9)), min_size=1, max_size=40))
def test_a_chart_holds_all_of_its_points(points: list[tuple[float, float]]) -> None:
    points = sorted(points)
    drawn = chart("Loss", "nats", [Series(name="loss", colour=0, points=points)])
    assert drawn is not None
    places = [tuple(map(float, pair.split(","))) for pair in drawn.lines[0].points.split()]
    assert len(places) <= 300
    assert all(-0.1 <= place <= 1000.1 for pair in places for place in pair)
    assert 2 <= len(drawn.y_ticks) <= 7
    assert all(0 <= at <= 100 for at, _ in [*drawn.x_ticks, *drawn.y_ticks])


def test_a_peak_outlives_the_thinning() -> None:
    points = [(float(step), 99.0 if step == 7_531 else 1.0) for step in range(10_000)]
    kept = thinned(points)
    assert len(kept) <= 300
    assert (7_531.0, 99.0) in kept
    assert kept == sorted(kept)


def test_a_mean_follows_what_it_is_of() -> None:
    assert smooth([(0, 1.0), (1, 3.0)]) == [(0, 1.0), (1, 3.0)]
    flat = smooth([(step, float(step % 2)) for step in range(400)])
    assert len(flat) == 400
    assert {round(y, 6) for _, y in flat[20:]} == {0.5}
    assert chart("Loss", "", [Series(name="none", colour=0, points=[])]) is None


def test_a_story_is_read_from_the_files_alone(runs: Path) -> None:
    story = read(runs / "short")
    assert [each.step for each in story.steps] == [1, 2, 3]
    assert story.best == story.evaluations[0]
    assert msgspec.structs.asdict(story.answers[0])["step"] == 3
    assert story.preview[0].tokens
