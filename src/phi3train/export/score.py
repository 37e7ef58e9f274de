"""Answers requests with the model of this bundle, under Azure Machine Learning's scoring server.

The server calls init() once and run() for each request. A model that chats takes one of OpenAI's chat completions,

    {"messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 100, "temperature": 0}

with max_tokens 512 if it is not given (less where the context ends) and temperature 0, the most likely answer. A model
with a classification head takes the messages alone, and answers

    {"label": "delivery", "probabilities": {"delivery": 0.93, "refund": 0.07}, "usage": {"prompt_tokens": 12}}

A request that cannot be answered gets status 400 and {"error": {"message", "type", "param", "code"}}; Azure hands it on
as 424, with 400 in the header ms-azureml-model-error-statuscode. Nothing that people write is logged.

It needs torch and transformers (4.57 or newer), and no network.
"""

from __future__ import annotations

import difflib
import json
import logging
import os
import re
import threading
import time
import uuid
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    StoppingCriteriaList,
)

TOKENS = 512  # of an answer, where the request names no number
STOPS = 8  # texts at most that an answer can stop at
ROLES = ("system", "user", "assistant")
_MARK = re.compile("\ue000(\\d+)\ue001")
_BRACKETED = re.compile(r"<[^\s<>]+>|\[[^\s\[\]]+\]")
_WHITE = "".join(each for each in map(chr, range(0x3001)) if each.isspace() and not "\x1c" <= each <= "\x1f")

logger = logging.getLogger(__name__)


class RefusedError(Exception):
    """A request that cannot be answered; `param` is the key of it that is wrong."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param, self.code = param, code


class Words:
    """Encodes a chat of which some words spell control tokens: control tokens are those that the template writes."""

    def __init__(self, path: Path, kind: Any) -> None:
        """Read tokenizer.json. `kind` is the class of the tokenizers library that makes a tokenizer of it."""
        self.path, self.kind = path, kind
        self.controls = {token["content"]: token for token in self._table()["added_tokens"] if _is_control(token)}
        longest = sorted(self.controls, key=len, reverse=True)  # leftmost, then longest, as tokenizers finds them
        self.find = re.compile(f"({'|'.join(map(re.escape, longest)) or '(?!)'})")

    def _table(self) -> dict[str, Any]:
        return {"added_tokens": [], "pre_tokenizer": None, **json.loads(self.path.read_text("utf-8"))}

    @cached_property  # large, and most chats spell none
    def _plain(self) -> tuple[Any, Any, dict[int, int]]:
        """Tokenizers without control tokens, for the start of a chat and for what follows; the right ids of others."""
        table = self._table()
        others = [token for token in table["added_tokens"] if not _is_control(token)]
        table |= {"added_tokens": others, "post_processor": None, "truncation": None, "padding": None}
        first = self.kind.from_str(json.dumps(table))
        after = _inside(table["pre_tokenizer"])
        same = after == table["pre_tokenizer"]
        inner = first if same else self.kind.from_str(json.dumps({**table, "pre_tokenizer": after}))
        # Without the control tokens the library numbers the other added tokens anew.
        return first, inner, {first.token_to_id(token["content"]): token["id"] for token in others}

    def spells_control(self, content: str) -> bool:
        """Whether a control token is spelled in the words of a message."""
        return self.find.search(content) is not None

    def encode(self, pieces: list[str]) -> list[int]:
        """Return the ids of what the template writes and what people wrote, in turn."""
        ids: list[int] = []
        text, left, start = "", False, True
        for number, piece in enumerate(pieces):
            for each in [piece] if number % 2 else self.find.split(piece):
                control = None if number % 2 else self.controls.get(each)
                if control is None:
                    text += each
                    continue
                ids += [*self._text(text, left, bool(control.get("lstrip")), start), control["id"]]
                text, left, start = "", bool(control.get("rstrip")), False
        return ids + self._text(text, left, False, start)

    def _text(self, text: str, left: bool, right: bool, start: bool) -> list[int]:
        """Return the ids of a text between control tokens that swallow the white space beside it, or do not."""
        text = text.lstrip(_WHITE) if left else text
        text = text.rstrip(_WHITE) if right else text
        first, inner, right_ids = self._plain
        found = (first if start else inner).encode(text, add_special_tokens=False).ids if text else []
        return [right_ids.get(token, token) for token in found]


def _is_control(token: dict[str, Any]) -> bool:
    """Whether an added token is more than a word. </s> is not marked as special in some files."""
    if token.get("normalized") or token.get("single_word") or not token["content"]:
        return False
    return bool(token.get("special") or _BRACKETED.fullmatch(token["content"]))


def _inside(step: Any) -> Any:
    """Return a pre-tokenizer that reads a text as one after a control token: nothing is put before it."""
    if not step:
        return step
    if step.get("prepend_scheme") == "first":
        return {**step, "prepend_scheme": "never"}
    return {**step, "pretokenizers": [*map(_inside, step["pretokenizers"])]} if "pretokenizers" in step else step


def mark(number: int) -> str:
    """Return what stands for the words of a message while the template is rendered; `_MARK` finds it."""
    return f"\ue000{number}\ue001"


class Model:
    """The model of a folder. Requests may come from several threads; one at a time is computed."""

    keys: tuple[str, ...] = ("messages",)  # of a request
    auto: Any = None  # what loads it

    def __init__(self, folder: Path) -> None:
        on_gpu = torch.cuda.is_available()
        # On a CPU in fp32: it answers as it did when it was exported, on every machine.
        dtype: Any = "auto" if on_gpu else torch.float32
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.words = Words(folder / "tokenizer.json", type(self.tokenizer.backend_tokenizer))
        model = self.auto.from_pretrained(folder, local_files_only=True, dtype=dtype)
        self.model = model.to("cuda" if on_gpu else "cpu").eval()
        self.context = int(self.model.config.max_position_embeddings)
        self.one = threading.Lock()
        logger.info("loaded on %s as %s", self.model.device, self.model.dtype)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request whose keys are known. Raises `RefusedError` for values that make no sense."""
        raise NotImplementedError

    def encode(self, messages: list[dict[str, str]], *, asks: bool) -> list[int]:
        """Return the ids of a chat; of one that `asks`, up to where the answer begins.

        What people spell like a control token stays text, as it was in training.
        """
        text = self._rendered(messages, asks)
        if not any(map(self.words.spells_control, (each["content"] for each in messages))):
            ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            return ids
        marked = [{**each, "content": each["content"] and mark(at)} for at, each in enumerate(messages)]
        pieces = _MARK.split(self._rendered(marked, asks))  # what the template writes, and the number of a message
        for at in range(1, len(pieces), 2):
            pieces[at] = messages[int(pieces[at])]["content"]
        if "".join(pieces) != text:
            said = "messages: one spells a control token, and the chat template changes its words: leave the token out"
            raise RefusedError(said, "messages")
        return self.words.encode(pieces)

    def _rendered(self, messages: list[dict[str, str]], asks: bool) -> str:
        try:
            text: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=asks)
        except TemplateError as error:
            raise RefusedError(f"messages: the chat template takes no such chat: {error}", "messages") from None
        return text

    def too_long(self, tokens: int, wanted: int | None = None) -> RefusedError:
        """Return the refusal of more tokens than the model reads."""
        asked = f", and max_tokens asks for {wanted}" if wanted else ""
        said = f"the model reads {self.context} tokens at most: the messages have {tokens}{asked}"
        return RefusedError(said, "max_tokens" if tokens < self.context else "messages", "context_length_exceeded")


class Chat(Model):
    """A model that answers."""

    keys = ("model", "messages", "max_tokens", "temperature", "top_p", "stop", "stream", "n")
    auto = AutoModelForCausalLM

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        ends = self.model.generation_config.eos_token_id
        self.ends: list[int] = ends if isinstance(ends, list) else [ends]
        self.name = os.environ.get("MODEL_NAME", "model")

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return a chat completion."""
        prompt = self.encode(read_messages(request), asks=True)
        stop = read_stop(request)
        how = {**self._sampling(request), **self._stopping(len(prompt), stop)}
        tokens = self._room(len(prompt), request)
        with self.one:
            ids = self._generate(prompt, tokens, how)
        ended = ids[-1] in self.ends
        text = self._text(ids[:-1] if ended else ids)
        cut = min((at for at in map(text.find, stop) if at >= 0), default=None)
        message = {"role": "assistant", "content": text[:cut]}
        reason = "stop" if ended or cut is not None else "length"
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": self.name,
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": {
                "prompt_tokens": len(prompt),
                "completion_tokens": len(ids),
                "total_tokens": len(prompt) + len(ids),
            },
        }

    def _room(self, prompt: int, request: dict[str, Any]) -> int:
        """Return how many tokens the answer may have."""
        wanted = read_number(request, "max_tokens", 1, 1_000_000, whole=True)
        left = self.context - prompt
        if left < (wanted or 1):
            raise self.too_long(prompt, int(wanted) if wanted else None)
        return int(wanted) if wanted else min(left, TOKENS)

    def _sampling(self, request: dict[str, Any]) -> dict[str, Any]:
        for key, only in (("stream", False), ("n", 1)):
            if request.get(key, only) not in (None, only):
                raise RefusedError(f"{key}: this endpoint gives one answer, as a whole: leave it out", key)
        temperature = read_number(request, "temperature", 0, 2)
        top_p = read_number(request, "top_p", 0, 1)
        if temperature is None or temperature < 1e-4:
            return {"do_sample": False}
        # top_k 0: of all tokens, as at OpenAI's endpoints. transformers takes no whole number for the others.
        drawn = {"temperature": float(temperature), "top_p": 1.0 if top_p is None else float(top_p), "top_k": 0}
        return {"do_sample": True, **drawn}

    def _stopping(self, start: int, stop: list[str]) -> dict[str, Any]:
        if not stop:
            return {}
        # A character is four tokens at most, so a text that the answer ends with begins among its last ones.
        tail = 4 * max(map(len, stop)) + 4

        def stops(ids: torch.Tensor, _scores: Any, **_: Any) -> torch.Tensor:
            text = self._text(ids[0, max(start, ids.shape[1] - tail) :].tolist())
            return torch.tensor([any(each in text for each in stop)], device=ids.device)

        return {"stopping_criteria": StoppingCriteriaList([stops])}

    def _generate(self, prompt: list[int], tokens: int, how: dict[str, Any]) -> list[int]:
        ids = torch.tensor([prompt], device=self.model.device)
        with torch.inference_mode():
            made = self.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=tokens,
                eos_token_id=self.ends,
                pad_token_id=self.ends[0],
                **how,
            )
        answer: list[int] = made[0, len(prompt) :].tolist()
        return answer

    def _text(self, ids: list[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


class Head(Model):
    """A model that names the class of a chat."""

    auto = AutoModelForSequenceClassification

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the class, and how likely each one is."""
        ids = self.encode(read_messages(request), asks=False)
        while ids and ids[-1] == self.model.config.pad_token_id:
            ids.pop()  # the head reads the last token that is no padding, and learned it so
        if not 0 < len(ids) <= self.context:
            raise self.too_long(len(ids))
        with self.one, torch.inference_mode():
            logits = self.model(input_ids=torch.tensor([ids], device=self.model.device)).logits[0]
        names = self.model.config.id2label
        likely = torch.softmax(logits.float(), 0).tolist()
        return {
            "label": names[int(logits.argmax())],
            "probabilities": {names[number]: each for number, each in enumerate(likely)},
            "usage": {"prompt_tokens": len(ids)},
        }


_loaded: list[Model] = []  # one, after init()


def init() -> None:
    """Load the model, once, from the folder that Azure names."""
    place = Path(os.environ["AZUREML_MODEL_DIR"])
    found = sorted(place.glob("**/config.json"))  # Azure puts the folder that was registered into this one
    if not found:
        raise FileNotFoundError(f"{place}: holds no config.json: register the bundle's folder model/ (model.yml)")
    kinds = json.loads(found[0].read_text("utf-8"))["architectures"]
    head = any("SequenceClassification" in kind for kind in kinds)
    _loaded[:] = [(Head if head else Chat)(found[0].parent)]


def run(raw: str) -> Any:
    """Answer a request, given as JSON."""
    (model,) = _loaded
    try:
        return model.answer(read(raw, model.keys))
    except RefusedError as error:
        said = {"message": str(error), "type": "invalid_request_error", "param": error.param, "code": error.code}
        return refusal({"error": said})


def refusal(body: dict[str, Any]) -> Any:
    """Return what the server answers with status 400."""
    try:
        from azureml_inference_server_http.api.aml_response import AMLResponse
    except ModuleNotFoundError:  # called by something other than the server, which has no statuses
        return body
    return AMLResponse(body, 400, json_str=True)


def read(raw: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return a request that has known keys only."""
    try:
        request = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"the request is no JSON: {error}") from None
    if not isinstance(request, dict):
        raise RefusedError('the request must be a JSON object: {"messages": [...]}')
    for key in request:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, 1)
            hint = f", did you mean '{near[0]}'?" if near else f"; known: {', '.join(keys)}"
            raise RefusedError(f"unknown key '{key}'{hint}", key)
    return request


def read_messages(request: dict[str, Any]) -> list[dict[str, str]]:
    """Return the messages of a request."""
    given = request.get("messages")
    if not isinstance(given, list) or not given:
        raise RefusedError('messages: must be a list such as [{"role": "user", "content": "Hello!"}]', "messages")
    return [_message(each, f"messages[{number}]") for number, each in enumerate(given)]


def _message(given: Any, where: str) -> dict[str, str]:
    if not isinstance(given, dict) or given.keys() != {"role", "content"}:
        raise RefusedError(f"{where}: must have the keys role and content, and no other one", where)
    role, content = given["role"], given["content"]
    if role not in ROLES:
        raise RefusedError(f"{where}.role: must be one of {', '.join(ROLES)}", f"{where}.role")
    if isinstance(content, list):  # parts, as some clients send them
        parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        texts = [text for text in parts if isinstance(text, str)]
        content = "".join(texts) if len(texts) == len(content) else None
    if not isinstance(content, str):
        raise RefusedError(f"{where}.content: must be text", f"{where}.content")
    # Half a surrogate pair is no text that a tokenizer reads.
    return {"role": role, "content": content.encode("utf-8", "replace").decode()}


def read_stop(request: dict[str, Any]) -> list[str]:
    """Return the texts that an answer stops at."""
    given = request.get("stop")
    texts = [given] if isinstance(given, str) else given or []
    if not isinstance(texts, list) or len(texts) > STOPS or not all(isinstance(each, str) and each for each in texts):
        raise RefusedError(f"stop: must be a text, or a list of up to {STOPS} texts", "stop")
    return texts


def read_number(request: dict[str, Any], key: str, low: int, high: int, *, whole: bool = False) -> float | None:
    """Return a number of a request, None where it names none."""
    value = request.get(key)
    kind = int if whole else int | float
    if value is not None and (isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high):
        raise RefusedError(f"{key}: must be a {'whole ' if whole else ''}number from {low} to {high}", key)
    return value
