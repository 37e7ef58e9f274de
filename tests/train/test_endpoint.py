"""The test of endpoints against endpoints that misbehave: one clear line each, nothing lost, nothing given away."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from html import escape as escape_html
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("openai", reason="the endpoint extra is not installed")

from phi3data.cli import run as command
from phi3data.report.card import escape
from phi3train.cli import group
from phi3train.endpoint import asking, questions, try_out
from phi3train.endpoint.replies import Reply, measure, percentiles
from phi3train.endpoint.report import Trial, warnings
from tests.journeys.test_report_page import browse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from phi3train.endpoint.questions import Kind

_EVIL = "<script>alert(1)</script>\x1b[31m"


class Stub(ThreadingHTTPServer):
    """An endpoint whose way to answer is the first part of its path; it keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    def url(self, way: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{way}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Stub

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        _, way, *_ = self.path.split("/")
        names = {"many": ["a", "b"], "none": [], "lined": ["phi\nerror: none"]}.get(way, ["phi"])
        if way == "unlisted":
            self._json({"error": {"message": "no such path"}}, 404)
        else:
            self._json({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        _, way, *_ = self.path.split("/")
        if way.isdigit():
            key = self.headers.get("Authorization", "")
            self._json({"error": {"message": f"{key} is\nno good"}}, int(way))
        elif way == "slow" and body["messages"][0]["content"] == "2":
            time.sleep(20)
        elif way == "interrupting":
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(2)
        elif way == "full":
            self._json({"error": {"message": "no room", "code": "context_length_exceeded"}}, 400)
        elif way == "unstreamed" and body.get("stream"):
            self._json({"detail": [{"msg": "no stream", "input": body["messages"][-1]["content"]}]}, 422)
        elif way in ("parts", "counted"):
            usage = {"prompt_tokens": 2, "completion_tokens": "three"}
            self._json({**_whole([{"type": "text", "text": "Hi"}] if way == "parts" else "Hi \ud83d"), "usage": usage})
        elif way == "echo":
            self._json(_whole(self.headers["Authorization"]))
        elif way in ("html", "empty"):
            self._send(b"<html>" if way == "html" else b'{"choices": []}', "text/html")
        elif body.get("stream"):
            self._stream(way)
        else:
            self._json(_whole(_EVIL if way == "evil" else "Hello world"))

    def _json(self, value: Any, status: int = 200) -> None:
        self._send(json.dumps(value).encode(), "application/json", status)

    def _send(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, way: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self._piece(_chunk("Hello "))
            while way == "endless":
                time.sleep(0.02)
                self._piece(_chunk("no "))
            if way == "cut":
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if way == "broken":
                self._piece({"error": {"message": "out of memory"}})
            if way != "unended":
                self._piece(_chunk(_EVIL if way == "evil" else "world", "length" if way == "long" else "stop"))
            self.wfile.write(b"0\r\n\r\n")
        except OSError:  # who asked is gone
            self.close_connection = True

    def _piece(self, value: Any) -> None:
        data = f"data: {json.dumps(value)}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


def _whole(text: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "phi", "choices": [choice], "usage": usage}


def _chunk(text: str, reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "phi", "choices": [choice]}


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    with Stub() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def data(jsonl: Callable[..., Path]) -> Path:
    """Three chats: of several turns with a system prompt, plain, without an answer."""
    roles = ("system", "user", "assistant", "user", "assistant")
    said = zip(roles, ("Be kind", "Hi", "Hello", "Bye", "Hello world"), strict=True)
    turns = [{"role": role, "content": content} for role, content in said]
    return jsonl([{"messages": turns}, {"messages": turns[1:3]}, {"messages": turns[1:2]}], "chats.jsonl")


def _test(*args: str) -> int:
    return command(group, ["test-endpoint", *args])


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("401", "not allowed: says 401: Bearer none is no good; it wants a key: --key-env names the variable"),
        ("404", "not found: says 404: Bearer none is no good; is 'phi' the model's (or deployment's) name? most"),
        ("422", "refused: says 422: Bearer none is no good; the request is none that it takes"),
        ("429", "busy: says 429: Bearer none is no good (also after 2 retries); lower --concurrency, or raise"),
        ("full", "too long: says 400: no room; messages and answer together exceed what the model can read"),
        ("parts", "no answer: what came back is no chat completion: its content is no text; is this the address of"),
        ("503", "server error: says 503: Bearer none is no good (also after 2 retries); look at the endpoint's log"),
        ("html", "no answer: what came back is no chat completion: it begins with '<html>'; is this the address of"),
        ("empty", "no answer: what came back is no chat completion: "),
        ("unlisted", "not found: has no list of models at http://127.0.0.1:"),
    ],
)  # fmt: skip
def test_an_endpoint_that_answers_nothing_is_one_line(
    stub: Stub, way: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "RETRIES", 0 if way in ("429", "503") else asking.RETRIES)
    said = said.replace("after 2", "after 0")
    model = [] if way == "unlisted" else ["--model", "phi"]
    assert _test(stub.url(way), *model, "--no-stream") == 1
    err = capsys.readouterr().err
    assert err.startswith(f"error: {stub.url(way)}: {said}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("cut", "3 of 4 requests: cut off: the connection was cut before the answer was at its end: try again; if it"),
        ("endless", "3 of 4 requests: timeout: was still writing after 1 s: lower --max-tokens; a model that never"),
        ("broken", "3 of 4 requests: server error: broke off: out of memory: look at the endpoint's log"),
        (
            "unended",
            "3 of 4 requests: no answer: what came back is no chat completion: the stream ended without",
        ),
        (
            "long",
            "75.0% of the answers were cut off: raise --max-tokens; if they then run on, the model was not",
        ),
    ],
)
def test_an_endpoint_that_fails_on_the_way_is_a_warning_each(
    stub: Stub, way: str, said: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [stub.url(way), "--data", str(data), "--concurrency", "3", "--timeout", "1", "-o", str(tmp_path / "out")]
    assert _test(*line) == (0 if way == "long" else 1)
    out = capsys.readouterr().out
    if way == "long":
        said = said.replace("75.0%", "100.0%")  # of the data's, which are measured
    assert f"warning: {said}" in out
    lines = [json.loads(each) for each in (tmp_path / "out" / "answers.jsonl").read_text("utf-8").splitlines()]
    assert [each["id"] for each in lines] == ["test request", "chats.jsonl:1", "chats.jsonl:2", "chats.jsonl:3"]
    assert all(each["answer"].startswith("Hello ") for each in lines)


def test_nobody_is_there(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "RETRIES", 0)
    assert _test("http://127.0.0.1:9/v1") == 1
    said = "error: http://127.0.0.1:9/v1: not reached: nothing answers there (All connection attempts failed); is it "
    assert capsys.readouterr().err.startswith(said)
    assert _test("http://no.such.host.invalid/v1", "--model", "x") == 1
    assert "not reached: nothing answers there (" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["ftp://x/v1"], "URL: expected the address of an endpoint: http://127.0.0.1:8000/v1, or https://…/score"),
        (["http://[x/v1"], "URL: expected the address of an endpoint"),
        (["https://me:secret@x/v1"], "URL: give the address alone, without '?…', '#…' or a name before '@'; a key by"),
        (["https://x/v1?key=secret"], "URL: give the address alone"),
        (["https://x/v1", "--key-env", "NO_SUCH_KEY"], "--key-env: there is no variable NO_SUCH_KEY in the"),
        (["http://x.example/v1", "--key-env", "A_KEY"], "--key-env: the key would go to x.example unencrypted"),
        (["http://127.0.0.1:9/v1", "--data", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
        (["http://127.0.0.1:9/v1", "--bundle", "nowhere"], "nowhere: is no bundle: manifest.json is not there"),
        (["http://127.0.0.1:9/v1", "--request", "pyproject.toml"], "pyproject.toml: is no JSON object"),
        (["http://127.0.0.1:9/v1", "-n", "5"], "--chats: is how many of --data are asked: give --data too"),
        (["https://x/v1", "--key-env", "LINES"], "--key-env: LINES holds a line break or a letter beyond ASCII, as no"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_told_before_anything_is_asked(
    args: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "secret")
    monkeypatch.setenv("LINES", "secret\nsecret")
    assert _test(*args) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "secret" not in err


def test_several_models_are_named(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert _test(stub.url("many")) == 2
    assert capsys.readouterr().err.endswith("many/v1: has 2 models (a, b): choose one with --model\n")
    assert _test(stub.url("none")) == 2
    assert capsys.readouterr().err.endswith("none/v1: lists no model: name the one to ask with --model\n")


def test_all_before_the_last_answer_is_asked_and_a_key_is_given_to_the_endpoint_alone(
    stub: Stub, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "sk-secret")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    stub.asked.clear()
    stub.headers.clear()
    line = [stub.url("good"), "--data", str(data), "--key-env", "A_KEY", "-o", str(tmp_path / "out")]
    assert _test(*line, "--max-tokens", "7") == 0
    first, many, plain, unanswered = stub.asked
    assert first["messages"] == [{"role": "user", "content": "Hello! Who are you?"}]
    assert [each["content"] for each in many["messages"]] == ["Be kind", "Hi", "Hello", "Bye"]
    assert plain["messages"] == unanswered["messages"] == [{"role": "user", "content": "Hi"}]
    assert (many["max_tokens"], many["temperature"], many["model"], many["stream"]) == (7, 0, "phi", True)
    assert {each["authorization"] for each in stub.headers} == {"Bearer sk-secret"}
    assert not any("org-mine" in str(each) for each in stub.headers)
    said = capsys.readouterr()
    assert "Exact match                  50.0%\nF1 of words                  83.3%\n" in said.out
    for path in (tmp_path / "out").iterdir():
        assert "sk-secret" not in path.read_text("utf-8")
    assert _test(stub.url("401"), "--key-env", "A_KEY") == 1
    err = capsys.readouterr().err
    assert "says 401: Bearer [key] is no good; the key is not one that it takes: --key-env names" in err
    assert _test(*line) == 2
    assert "out/report.html: exists: choose another folder, or replace it with --overwrite" in capsys.readouterr().err


def test_a_report_is_no_part_of_a_bundle_nor_a_file(
    stub: Stub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manifest.json").write_text("{}", "utf-8")
    for place, said in (("", "is a bundle or prepared data"), ("manifest.json", "is a file: give a folder")):
        assert _test(stub.url("good"), "-o", str(tmp_path / place), "--overwrite") == 2
        assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(("kind", "warned"), [("exported", 0), ("request", 0), ("data", 1)])
def test_answers_to_questions_with_a_limit_of_their_own_may_be_cut_off(kind: Kind, warned: int) -> None:
    reply = Reply(id="1", kind=kind, messages=[], wanted="Hello", answer="Hello", reason="length", seconds=1.0)
    trial = Trial(
        address="x", model="m", when="2026-01-01", data=None, questions=1, stopped=False, max_tokens=8, concurrency=1,
        streamed=True, patience=1.0, retries=2, measured=measure([reply], 1.0), replies=[reply],
    )  # fmt: skip
    assert len(warnings(trial)) == warned


def test_a_request_is_sent_as_it_is_written(stub: Stub, tmp_path: Path) -> None:
    stub.asked.clear()
    request = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5, "repetition_penalty": 1.1}
    (tmp_path / "request.json").write_text(json.dumps({**request, "stream": True, "model": "other"}), "utf-8")
    assert _test(stub.url("good"), "--request", str(tmp_path / "request.json")) == 0
    assert stub.asked == [{**request, "model": "phi"}]


def test_messages_of_a_request_are_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "request.json"
    path.write_text('{"messages": ["hi"]}', "utf-8")
    assert _test("http://127.0.0.1:9/v1", "--request", str(path)) == 2
    assert f"error: {path}: is no request: it has no messages; " in capsys.readouterr().err


def test_what_is_odd_in_an_answer_is_left_out(
    stub: Stub, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "sk-secret")
    for way, answer in {"counted": "Hi \ufffd", "echo": "Bearer [key]"}.items():
        assert _test(stub.url(way), "--key-env", "A_KEY", "-o", str(tmp_path / way)) == 0
        kept = json.loads((tmp_path / way / "answers.jsonl").read_bytes())
        assert kept["answer"] == answer
        assert kept["completion_tokens"] == (None if way == "counted" else 3)
    assert _test(stub.url("lined")) == 0
    said = capsys.readouterr()
    assert f"{stub.url('lined')}: phi⏎error: none, 1 of 1 requests answered\n" in said.out
    assert "sk-secret" not in said.out + said.err


def test_the_markdown_has_no_words_of_the_endpoint_and_the_remedy_fits_how_it_was_asked(
    stub: Stub, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _test(stub.url("unstreamed"), "--data", str(data), "-o", str(tmp_path)) == 1
    said = (
        "3 of 4 requests: refused: says 422: [{'msg': 'no stream', 'input': 'Bye'}]: if it cannot stream: --no-stream"
    )
    assert f"warning: {said}\n" in capsys.readouterr().out
    report = (tmp_path / "REPORT.md").read_text("utf-8")
    assert escape("3 of 4 requests: refused (422): if it cannot stream: --no-stream") in report
    assert "Bye" not in report
    assert "Bye" in (tmp_path / "report.html").read_text("utf-8")
    assert _test(stub.url("422"), "--data", str(data)) == 1  # the first question is not streamed
    assert capsys.readouterr().err.endswith("; the request is none that it takes\n")


def test_ctrl_c_before_the_first_reply_is_one_line(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert _test(stub.url("interrupting")) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "interrupted: 0 of 1 questions were asked\n")


def test_pages_of_an_earlier_test_go_with_the_first_reply(stub: Stub, tmp_path: Path) -> None:
    line = [stub.url("good"), "-o", str(tmp_path), "--overwrite"]
    assert _test(*line) == 0
    there: list[list[str]] = []

    def told(_: int) -> None:
        there.append(sorted(path.name for path in tmp_path.iterdir()))

    place = asking.address(stub.url("good"), key=False)
    how = asking.Asking(place=place, key=None, model="phi", stream=False, patience=9, concurrency=1)
    try_out([questions.request(None)], how, data=None, max_tokens=9, folder=tmp_path, told=told)
    assert there == [["answers.jsonl"]]
    assert len(list(tmp_path.iterdir())) == 3


def test_some_of_the_chats_are_asked(stub: Stub, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("-n", "--chats"):
        assert _test(stub.url("good"), "--data", str(data), option, "2") == 0
        assert ": phi, 3 of 3 requests answered\n" in capsys.readouterr().out


def test_a_scoring_script_is_asked_in_the_same_words(
    stub: Stub, data: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    stub.asked.clear()
    assert _test(stub.url("good").replace("/v1", "/score"), "--data", str(data), "-n", "1", "--json") == 0
    found = json.loads(capsysbinary.readouterr().out)
    assert (found["address"], found["streamed"]) == (stub.url("good").replace("/v1", "/score"), False)
    assert found["measured"]["f1"] == 1
    assert [each.keys() & {"model", "stream"} for each in stub.asked] == [set(), set()]


@pytest.mark.slow
def test_the_figures_fill_their_rows_on_a_screen_of_any_width(stub: Stub, tmp_path: Path) -> None:
    assert _test(stub.url("good"), "-o", str(tmp_path / "out")) == 0
    page = escape_html((tmp_path / "out" / "report.html").read_text("utf-8"))
    frames = "".join(f'<iframe width="{width}" srcdoc="{page}"></iframe>' for width in (400, 500, 800, 1200))
    count = """<script>onload = () => document.body.textContent = Array.from(frames, frame => {
      const rows = {}
      for (const { offsetTop: top } of frame.document.querySelectorAll(".figures div")) rows[top] = (rows[top] ?? 0) + 1
      return Object.values(rows).join("+")
    }).join(" ")</script>"""
    (tmp_path / "frames.html").write_text(f"<!doctype html><meta charset=utf-8>{frames}{count}", "utf-8")
    assert "<body>2+2+1 3+2 5 5</body>" in browse(tmp_path / "frames.html", "--dump-dom").stdout


def test_whatever_an_endpoint_answers_the_page_runs_nothing(
    stub: Stub, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _test(stub.url("evil"), "--data", str(data), "-o", str(tmp_path / "out")) == 0
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 4
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in page
    assert "\x1b" not in page + capsys.readouterr().out


def test_ctrl_c_leaves_what_was_answered_and_pytorch_is_not_needed(
    stub: Stub, jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    rows = [{"messages": [{"role": "user", "content": str(number)}]} for number in range(4)]
    code = (
        "import signal, sys; sys.modules['torch'] = sys.modules['yaml'] = None; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "  # a shell may have it ignored
        "from phi3train.cli import main; main(sys.argv[1:])"
    )
    args = ["test-endpoint", stub.url("slow"), "--data", str(jsonl(rows)), "-o", str(tmp_path / "out")]
    started = subprocess.Popen(
        [sys.executable, "-c", code, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    answers = tmp_path / "out" / "answers.jsonl"
    for _ in range(600):
        if answers.is_file() and answers.read_bytes().count(b"\n") == 3:
            break
        time.sleep(0.05)
    os.kill(started.pid, signal.SIGINT)
    out, err = started.communicate(timeout=60)
    assert started.returncode == 130
    assert "warning: stopped by the user after 3 of 5 requests\n" in out
    assert err.endswith("interrupted: 3 of 5 questions were asked\n")
    assert "Traceback" not in err
    assert answers.read_bytes().count(b"\n") == 3
    assert "stopped by the user after 3 of 5 requests" in (tmp_path / "out" / "REPORT.md").read_text("utf-8")


def test_percentiles_are_values_that_occurred() -> None:
    found = percentiles(float(number) for number in range(1, 101))
    assert found is not None
    assert (found.p50, found.p90, found.p99) == (50, 90, 99)
    least = percentiles((float(number) for number in range(1, 11)), least=True)
    assert least is not None
    assert (least.p50, least.p90, least.p99) == (6, 2, 1)
    assert percentiles([]) is None
