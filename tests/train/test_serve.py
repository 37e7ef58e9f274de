"""A bundle as an endpoint: the real program, asked by OpenAI's client and by our own test of endpoints."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from codecs import getincrementaldecoder
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

openai = pytest.importorskip("openai", reason="the endpoint extra is not installed")
pytest.importorskip("uvicorn", reason="the serve extra is not installed")

from scripts.make_tiny_model import DECODER  # noqa: E402

from phi3data.cli import run as command  # noqa: E402 (they need those extras)
from phi3data.errors import UsageError  # noqa: E402
from phi3train.cli import group  # noqa: E402
from phi3train.detokenizing import Detokenizer  # noqa: E402
from phi3train.export.checkpoint import export_adapter, export_model  # noqa: E402
from phi3train.run import run  # noqa: E402
from phi3train.serving import answering, bind  # noqa: E402
from phi3train.serving.app import Endpoint, Server  # noqa: E402
from tests.tokens.tiny import write_tiny  # noqa: E402
from tests.train.tiny import config, write_chats, write_model  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_HELLO = [{"role": "user", "content": "Hello?"}]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that has learned ten chats by heart, and its bundle."""
    folder = tmp_path_factory.mktemp("serve")
    model = write_model(folder / "base")
    tokenizer = json.loads((model / "tokenizer.json").read_text("utf-8"))  # the tiny one has no decoder
    (model / "tokenizer.json").write_text(json.dumps({**tokenizer, "decoder": DECODER}), "utf-8")
    chats = write_chats(folder / "chats.jsonl", 10)
    settings: dict[str, Any] = {"train__batch_size": 5, "train__epochs": 40, "train__learning_rate": 6e-3}
    made = config(model, chats, folder / "run", method__kind="full", packing__length=64, samples__count=0, **settings)
    assert run(made).state == "done"
    export_model(folder / "run", folder / "bundle", name="support")
    return folder


class Served:
    """The program, serving."""

    def __init__(self, bundle: Path) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        line = [sys.executable, "-m", "phi3train", "serve", str(bundle), "--port", "0", "--device", "cpu"]
        self.process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline().strip()
        self.url = self.said.rpartition(" ")[2]
        self.client = openai.OpenAI(base_url=self.url, api_key="none", max_retries=0, timeout=60)

    def ask(self, messages: Any = _HELLO, **settings: Any) -> Any:
        return self.client.chat.completions.create(model="support", messages=messages, **settings)

    def text(self, **settings: Any) -> str:
        return str(self.ask(**settings).choices[0].message.content)

    def stop(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


@pytest.fixture(scope="module")
def servers(home: Path) -> Iterator[list[Served]]:
    made = [Served(home / "bundle")]
    yield made
    if made[-1].process.poll() is None:
        made[-1].process.kill()
        made[-1].process.wait(20)


@pytest.fixture
def served(servers: list[Served], home: Path) -> Served:
    """The server; another one where a test has stopped it: several processes run these tests in any order."""
    if servers[-1].process.poll() is not None:
        servers.append(Served(home / "bundle"))
    return servers[-1]


def test_it_answers_the_test_request_and_stops_at_the_end_of_the_turn(served: Served, home: Path) -> None:
    assert served.said == f"serving support at {served.url}"
    request = json.loads((home / "bundle" / "deploy" / "test_request.json").read_text("utf-8"))
    answer = served.client.chat.completions.create(model="support", **request)
    assert answer.choices[0].message.content == "Hello world"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (5, 3, 8)
    assert [each.id for each in served.client.models.list()] == ["support"]
    with urllib.request.urlopen(served.url.replace("/v1", "/health")) as response:
        assert json.load(response) == {"status": "ok"}


def test_streamed_it_is_the_same_piece_by_piece(served: Served) -> None:
    chunks = list(served.ask(stream=True, stream_options={"include_usage": True}))
    assert [each.choices[0].delta.content for each in chunks[:-1]] == ["", "Hello", " world", None]
    assert [each.choices[0].finish_reason for each in chunks[:-1]] == [None, None, None, "stop"]
    assert (chunks[-1].choices, chunks[-1].usage.completion_tokens) == ([], 3)
    assert len({each.id for each in chunks}) == 1
    assert list(served.ask(stream=True))[-1].usage is None


def test_limits_stops_and_seeds(served: Served) -> None:
    cut = served.ask(max_tokens=1)
    assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == ("Hello", "length")
    whole = served.ask(max_completion_tokens=3)  # the end of the turn is the third
    assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == ("Hello world", "stop")
    ended = served.ask(stop=["world", "xyz"])
    assert (ended.choices[0].message.content, ended.choices[0].finish_reason) == ("Hello ", "stop")
    streamed = served.ask(stop="o wor", stream=True)
    assert "".join(each.choices[0].delta.content or "" for each in streamed) == "Hell"
    drawn = [served.text(temperature=2, seed=seed, max_tokens=8) for seed in (1, 1, 2, 3, 4)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 2
    assert served.text(temperature=1e-39) == "Hello world"
    assert {served.text(temperature=2, top_p=0.01, seed=seed) for seed in range(3)} == {"Hello world"}


def test_what_people_write_is_text_and_parts_are_joined(served: Served) -> None:
    spelled = served.ask([{"role": "user", "content": "Hello?<|end|>"}])
    assert spelled.usage.prompt_tokens == 5 + len("<|end|>")  # byte by byte, and not one control token
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo?"}]
    assert served.text(messages=[{"role": "user", "content": parts}], user="me", n=1) == "Hello world"


@pytest.mark.parametrize(
    ("settings", "status", "param", "said"),
    [
        ({"n": 2}, 400, "n", "n: this server knows 1 only"),
        ({"tools": [{"type": "function"}]}, 400, "tools", "tools: this server knows [] only"),
        ({"extra_body": {"beams": 2}}, 400, "beams", "beams: not known here"),
        ({"temperature": -1}, 400, "temperature", "temperature: Expected `float` >= 0.0"),
        ({"max_tokens": 0}, 400, "max_tokens", "max_tokens: Expected `int` >= 1"),
        ({"messages": []}, 400, "messages", "messages: Expected `array` of length >= 1"),
        ({"messages": [{"role": "boss", "content": ""}]}, 400, "messages[0].role",
         "messages[0].role: Invalid enum value 'boss'"),
        ({"messages": [{"role": "assistant", "content": "", "function_call": {}, "tool_calls": []}]}, 400,
         "messages[0].function_call", "messages[0].function_call: not known here"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "", "image": "x"}]}]}, 400,
         "messages[0].content[0].image", "messages[0].content[0].image: not known here"),
        ({"messages": [{"role": "user", "content": "x" * 2**22}]}, 413, None,
         "the request is longer than 4,194,304 bytes"),
        ({"messages": [{"role": "user", "content": "Hello " * 600}]}, 413, "messages",
         "the messages are 604 tokens long, and messages and answer together have 512: send fewer or shorter ones"),
    ],
)  # fmt: skip
def test_what_it_cannot_do_is_refused_and_says_why(
    served: Served, settings: dict[str, Any], status: int, param: str | None, said: str
) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        served.ask(**settings)
    assert raised.value.status_code == status
    assert raised.value.body["message"] == said
    assert raised.value.body["param"] == param
    assert raised.value.body["type"] == "invalid_request_error"


def test_another_model_another_path_another_name_of_the_machine(served: Served) -> None:
    with pytest.raises(openai.NotFoundError, match="there is no model 'gpt' here: this is 'support'"):
        served.client.chat.completions.create(model="gpt", messages=_HELLO)
    with pytest.raises(openai.NotFoundError, match="POST /v1/completions: there is no such call here"):
        served.client.completions.create(model="support", prompt="x")
    stranger = openai.OpenAI(base_url=served.url, api_key="none", default_headers={"Host": "evil.example"})
    with pytest.raises(openai.BadRequestError) as raised:
        stranger.models.list()
    assert raised.value.response.text == "Invalid host header"


def test_a_body_that_nests_too_deep_or_is_never_whole(served: Served) -> None:
    deep = urllib.request.Request(f"{served.url}/chat/completions", b'{"a":' + b"[" * 10_000, method="POST")
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(deep)
    assert raised.value.code == 400
    assert json.load(raised.value)["error"]["message"].startswith("the body is no JSON object: ")
    place = urlsplit(served.url)
    with socket.create_connection((str(place.hostname), place.port or 0)) as gone:
        gone.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
    assert served.text() == "Hello world"  # what the log then says is looked at where it ends


def test_only_this_machine_can_call_it(served: Served) -> None:
    places = psutil.Process(served.process.pid).net_connections("inet")
    assert {each.laddr.ip for each in places} == {"127.0.0.1"}


class Reading:
    """What reads a conversation as long as nobody else was answered."""

    name = "reading"

    def __init__(self) -> None:
        self.begun, self.heard = threading.Event(), threading.Event()

    def prompt(self, _: object) -> list[int]:
        self.begun.set()
        assert self.heard.wait(10)
        return [1]

    def answer(self, _: object, __: object, told: Callable[[str], bool]) -> answering.Written:
        told("done")
        return answering.Written(tokens=1, reason="stop")


def test_while_a_long_message_is_read_others_are_heard_and_only_by_names_of_this_machine() -> None:
    reading = Reading()
    with bind("127.1", 0) as taken:
        address, port = taken.getsockname()
        server = Server(Endpoint(cast("answering.Answering", reading)), "127.1", address)
        taken.listen()
        running = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
        running.start()
        url = f"http://127.1:{port}"

        def ask(name: str) -> bytes:
            with urllib.request.urlopen(urllib.request.Request(f"{url}/health", headers={"Host": name})) as response:
                return bytes(response.read())

        with ThreadPoolExecutor(1) as pool:
            body = json.dumps({"messages": _HELLO}).encode()
            answer = pool.submit(lambda: json.load(urllib.request.urlopen(f"{url}/v1/chat/completions", body)))
            assert reading.begun.wait(10)
            assert ask("127.1") == ask("127.0.0.1") == ask("LOCALHOST") == b'{"status":"ok"}'
            with pytest.raises(urllib.error.HTTPError, match="400"):
                ask("evil.example")
            reading.heard.set()
            assert answer.result()["choices"][0]["message"]["content"] == "done"
        server.should_exit = True
        running.join(10)


class Endless:
    """What hardly ends an answer by itself, and knows how many were ended."""

    name = "endless"

    def __init__(self) -> None:
        self.begun = self.ended = 0

    def prompt(self, _: object) -> list[int]:
        return [1]

    def answer(self, _: object, __: object, told: Callable[[str], bool]) -> answering.Written:
        self.begun += 1
        for _ in range(10_000):  # so that a server that does not end it fails the test, and holds up nothing else
            time.sleep(0.002)
            if told("no "):
                self.ended += 1
                break
        return answering.Written(tokens=1, reason="length")


def _until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    pytest.fail("nothing happened for ten seconds")


def test_who_goes_away_keeps_nobody_waiting_and_nor_does_who_stays() -> None:
    endless = Endless()
    server = Server(Endpoint(cast("answering.Answering", endless)), "127.0.0.1", "127.0.0.1")
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        running = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
        running.start()
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{taken.getsockname()[1]}/v1", api_key="x", max_retries=0)
        ask = client.chat.completions.create
        with ask(model="endless", messages=_HELLO, stream=True) as stream:
            next(iter(stream))
        _until(lambda: endless.ended == 1)
        with pytest.raises(openai.APITimeoutError):
            ask(model="endless", messages=_HELLO, timeout=0.3)
        _until(lambda: endless.ended == 2)
        with ask(model="endless", messages=_HELLO, stream=True) as stream:
            assert [next(stream).choices[0].delta.content for _ in range(2)] == ["", "no "]
            server.should_exit = True
            with pytest.raises(openai.APIError, match="the server was stopped before the answer was at its end"):
                for _ in stream:
                    pass
        running.join(10)
    assert not running.is_alive()
    assert (endless.begun, endless.ended) == (3, 3)


def test_an_endpoint_test_of_it(served: Served, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = ["test-endpoint", served.url, "--bundle", str(home / "bundle"), "--data", str(home / "chats.jsonl")]
    assert command(group, [*line, "-n", "4", "--concurrency", "2", "-o", str(home / "report")]) == 0
    said = capfd.readouterr().out
    assert said.startswith(f"{served.url}: support, 8 of 8 requests answered\nTest request, s ")
    assert "As exported                 3 of 3\nStops by itself             100.0%\n" in said
    assert "Exact match                 100.0%\nF1 of words                 100.0%\nTokens/s in all " in said
    assert "warning" not in said
    lines = [json.loads(each) for each in (home / "report" / "answers.jsonl").read_text("utf-8").splitlines()]
    assert [each["id"] for each in lines[:4]] == ["test request", "exported 1", "exported 2", "exported 3"]
    assert [each["id"] for each in lines[4:]] == [f"chats.jsonl:{number}" for number in (1, 4, 7, 10)]
    assert all(each["first"] <= each["seconds"] for each in lines[1:])
    assert lines[4]["answer"] == lines[4]["wanted"] == "Hello world"
    report = (home / "report" / "REPORT.md").read_text("utf-8")
    assert "| As exported | 3 of 3 |" in report
    assert "Hello" not in report  # texts of rows stay out of it


def test_an_endpoint_test_with_other_bundles(
    served: Served, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = shutil.copytree(home / "bundle", tmp_path / "made")
    manifest = json.loads((made / "manifest.json").read_bytes())
    for kind, code in (("onnx", 0), ("finetune", 2)):
        (made / "manifest.json").write_text(json.dumps({**manifest, "kind": kind}), "utf-8")
        assert command(group, ["test-endpoint", served.url, "--bundle", str(made), "--no-stream"]) == code
    said = capsys.readouterr()
    assert "As exported                 3 of 3\n" in said.out
    assert f"error: {made}: is a bundle 'finetune', which holds rows and no answers: give that of" in said.err


def test_ctrl_c_ends_it_at_once_and_well(home: Path, served: Served) -> None:
    with served.ask([{"role": "user", "content": "Hello " * 100}], stream=True, temperature=2, seed=1) as stream:
        next(iter(stream))
        code, said = served.stop()
    assert (code, said) == (0, f"loading {home / 'bundle'} on cpu\nCtrl-C ends it\n")


def test_what_cannot_be_served_says_what_can(
    home: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = config(model, home / "chats.jsonl", tmp_path / "run", train__max_steps=1, samples__count=0)
    run(made)
    export_adapter(tmp_path / "run", tmp_path / "adapter", name="support")
    for folder, said in {
        home / "run": f"{home / 'run'}: is a run folder: phi3train export {home / 'run'} --to model makes the bundle",
        home / "bundle" / "model": f"{home / 'bundle' / 'model'}: is within a bundle: give {home / 'bundle'}",
        tmp_path / "adapter": f"{tmp_path / 'adapter'}: is a bundle 'adapter': export the run with --to model to serve",
        tmp_path: f"{tmp_path}: is no bundle: manifest.json is not there; phi3train export makes one",
    }.items():
        assert command(group, ["serve", str(folder), "--port", "0"]) == 2
        assert said in capsys.readouterr().err
    weights = "model/model-00001-of-00001.safetensors"
    broken = shutil.copytree(home / "bundle", tmp_path / "broken")
    (broken / weights).write_bytes((broken / weights).read_bytes()[:-100])
    assert command(group, ["serve", str(broken), "--port", "0"]) == 2
    assert f"error: {broken / 'model'}: the weights cannot be loaded: " in capsys.readouterr().err
    for name, text, reason in (
        ("tokenizer.json", "{}", ": is no tokenizer, or damaged: "),
        ("generation_config.json", '{"eos_token_id": [[1]]}', ": names no token that ends an answer (eos_token_id): "),
    ):
        (broken / "model" / name).write_text(text, "utf-8")
        assert command(group, ["serve", str(broken), "--port", "0"]) == 2
        assert f"error: {broken / 'model' / name}{reason}" in capsys.readouterr().err
        shutil.copy(home / "bundle" / "model" / name, broken / "model")
    assert command(group, ["serve", str(tmp_path), "--host", "0.0.0.0", "--port", "0"]) == 2
    assert "warning: whoever reaches 0.0.0.0 on this machine can ask, without a key\n" in capsys.readouterr().err
    for host in ("127.1", "LOCALHOST", "::ffff:127.0.0.1", "no such host"):
        assert command(group, ["serve", str(tmp_path), "--host", host, "--port", "0"]) == 2
        assert "warning" not in capsys.readouterr().err


def test_an_address_that_cannot_be_had() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"--port: {port} is taken by another program: choose another"):
            bind("127.0.0.1", port)
    with pytest.raises(UsageError, match="--host: no such host is no address of this machine"):
        bind("no such host", 0)
    with pytest.raises(UsageError, match=r"192\.0\.2\.1:0 cannot be had: Cannot assign requested address"):
        bind("192.0.2.1", 0)


def test_a_character_that_is_cut_in_its_bytes_is_not_shown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = answering.Answering(home / "bundle", "cpu")
    cut = [2 + byte for byte in "é日".encode()[:-1]]  # the tokens of single bytes

    def written(*_: object, heard: Callable[[int], bool], **__: object) -> list[int]:
        return [token for token in cut if not heard(token)]

    monkeypatch.setattr(answering, "write", written)
    said: list[str] = []

    def told(piece: str) -> bool:
        said.append(piece)
        return False

    ended = made.answer([5], answering.Sampling(), told)
    assert (ended.tokens, ended.reason) == (4, "length")
    assert [piece for piece in said if piece] == ["é"]


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokenizer]:
    """One that writes what it does not know as bytes, and one of bytes alone."""
    made = {}
    for kind in ("llama", "bytes"):
        table = json.loads((write_tiny(tmp_path_factory.mktemp(kind), kind) / "tokenizer.json").read_text("utf-8"))
        made[kind] = Tokenizer.from_str(json.dumps({**table, "decoder": table.get("decoder") or DECODER}))
    return made


def test_bytes_that_are_no_character_are_shown_as_one_sign(tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers["llama"]

    def pieces(*tokens: str) -> list[str]:
        text = Detokenizer(tokenizer)
        return [text.add(_id(tokenizer, token)) for token in tokens]

    assert pieces("▁Hello", "<0x0A>", "<0xF0>", "▁world") == ["Hello", "\n", "", "\ufffd world"]
    assert pieces("▁Hi", "<0xC3>", "<0xC3>", "<0xA9>", "<0xF0>") == ["Hi", "", "\ufffd", "é", ""]
    assert pieces("▁", "▁Hi", "<|end|>", "▁you") == ["", " Hi", "", " you"]


@given(st.lists(st.sampled_from(["a", "é", "日", "😀", "\n", " no", "Hello"]), max_size=8), st.integers(0, 4))
def test_pieces_are_the_text_that_the_tokenizer_gives(
    tokenizers: dict[str, Tokenizer], words: list[str], cut: int
) -> None:
    for tokenizer in tokenizers.values():
        ids = tokenizer.encode("".join(words), add_special_tokens=False).ids
        ids = ids[: len(ids) - cut]
        text = Detokenizer(tokenizer)
        shown = "".join(map(text.add, ids))
        plain = tokenizer.decode(ids)
        assert shown == plain if "\ufffd" not in plain else shown.startswith(plain.partition("\ufffd")[0])


def _id(tokenizer: Tokenizer, token: str) -> int:
    found = tokenizer.token_to_id(token)
    assert found is not None
    return found


def _sign(byte: int) -> str:
    """Return how a vocabulary of bytes spells one: as its own character where that can be seen."""
    unseen = [*range(33), *range(127, 161), 173]
    return chr(256 + unseen.index(byte)) if byte in unseen else chr(byte)


@given(st.lists(st.sampled_from([0x41, 0x20, 0xC3, 0xA9, 0xE6, 0x97, 0xA5, 0xF0, 0x9F, 0x98, 0x80, 0xFF]), max_size=9))
def test_whatever_bytes_come_the_text_is_that_of_all_of_them(
    tokenizers: dict[str, Tokenizer], found: list[int]
) -> None:
    for kind, ids, expected in (
        ("llama", [2 + byte for byte in found], getincrementaldecoder("utf-8")("replace").decode(bytes(found))),
        ("bytes", [_id(tokenizers["bytes"], _sign(byte)) for byte in found],
         bytes(found).decode("utf-8", "replace").removesuffix("\ufffd")),
    ):  # fmt: skip
        text = Detokenizer(tokenizers[kind])
        assert "".join(map(text.add, ids)) == expected  # the end may yet become a character


@given(st.lists(st.text("abc", max_size=4)), st.lists(st.text("abc", min_size=1, max_size=3), max_size=3))
def test_nothing_is_shown_from_the_first_stop_on(pieces: list[str], stops: list[str]) -> None:
    shown, said = answering.Shown(tuple(stops)), ""
    for piece in pieces:
        said += shown.add(piece)
        if shown.stopped:
            break
    whole = "".join(pieces)
    first = min((at for stop in stops if (at := whole.find(stop)) >= 0), default=None)
    assert shown.stopped == (first is not None)
    assert said + shown.rest() == whole[:first]
