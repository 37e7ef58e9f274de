"""Ids and mask, against the libraries' own encoding of the rendered text; lengths, against the ids."""

from __future__ import annotations

import json
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tokens.tiny import write_tiny

import phi3data
from phi3data import family
from phi3data.chat import Conversation, Message
from phi3data.tokens import count
from phi3data.tokens.encode import Encoder, encoder
from phi3data.tokens.lengths import Lengths

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = {
    "phi-3-mini": ("phi-3-mini", "tokenizer.json"),
    "phi-3-medium": ("phi-3-medium", "tokenizer.json"),
    "phi-3-small": ("phi-3-small", "cl100k_base.tiktoken"),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Tokenizers of both kinds with the control tokens of the models, made here."""
    return {kind: str(write_tiny(tmp_path_factory.mktemp(kind), kind)) for kind in ("llama", "bytes")}


@cache
def library(path: str) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(Path(path) / "tokenizer.json"))


word = st.sampled_from(
    [
        "hello",
        "Hello world",
        " ",
        "  ",
        "\n",
        "\t",
        "\r\n",
        "日本",
        "é",
        "\x1c",
        "\u3000",
        "\u00a0x",
        "▁",
        "a\u200bb",
        "🙂",
    ]
)
plain = st.lists(word, max_size=5).map("".join)
control = st.sampled_from(
    ["<|end|>", "<|user|>", "<s>", "</s>", "<unk>", "<|endoftext|>", "<|end", "<|END|>", "<| end |>"]
)
spelled = st.lists(st.one_of(word, control), max_size=5).map("".join)


def conversations(content: st.SearchStrategy[str]) -> st.SearchStrategy[Conversation]:
    turn = st.builds(
        Message,
        st.sampled_from(["system", "user", "assistant", "assistant", "tool"]),
        content,
        weight=st.sampled_from([None, None, 0, 1]),
    )
    return st.builds(Conversation, st.lists(turn, min_size=1, max_size=5))


MODELS = [("llama", name) for name in ("phi-3-mini", "phi-3-medium", "phi-3.5-mini")] + [
    ("bytes", name) for name in ("phi-4-mini", "phi-4-mini-reasoning")
]


@pytest.mark.parametrize(("kind", "model"), MODELS)
@given(row=conversations(spelled))
def test_kept_control_tokens_give_the_ids_that_the_library_gives(
    kind: str, model: str, row: Conversation, tiny: dict[str, str]
) -> None:
    text = phi3data.render(row, model)
    expected = library(tiny[kind]).encode(text, add_special_tokens=False)
    found = phi3data.encode(row, model, tokenizer=tiny[kind], control_text="keep", spans=True)
    assert found.ids == expected.ids
    assert len(found.ids) == len(found.mask) == len(found.spans)
    assert found.ids == phi3data.encode(row, model, tokenizer=tiny[kind], control_text="keep").ids
    # Spans go forward, and only white space beside a control token is in none of them.
    covered = set()
    for start, end in found.spans:
        covered |= set(range(start, end))
    assert all(text[at].isspace() for at in range(len(text)) if at not in covered)


@pytest.mark.parametrize(("kind", "model"), MODELS)
@given(row=conversations(plain))
def test_without_control_text_all_policies_agree_with_the_library(
    kind: str, model: str, row: Conversation, tiny: dict[str, str]
) -> None:
    expected = library(tiny[kind]).encode(phi3data.render(row, model), add_special_tokens=False).ids
    for policy in ("escape", "keep", "error"):
        assert phi3data.encode(row, model, tokenizer=tiny[kind], control_text=policy).ids == expected


@pytest.mark.parametrize(("kind", "model"), MODELS)
@given(row=conversations(spelled), loss_on=st.sampled_from(["assistant", "last", "all"]))
def test_escaped_text_never_becomes_a_control_token_and_lengths_agree(
    kind: str, model: str, row: Conversation, loss_on: Any, tiny: dict[str, str]
) -> None:
    profile = family.model(model)
    ref = count.resolve(tiny[kind], profile)
    one = encoder(ref, profile)
    found = one.encode(row, loss_on=loss_on, spans=True)
    rendered = one.template.render(row)
    inside: set[int] = set()
    at = 0
    for literal, content in zip(rendered.literals, rendered.contents, strict=False):
        at += len(literal)
        inside |= set(range(at, at + len(content)))
        at += len(content)
    controls = {each.id for each in one.vocabulary.controls.by_text.values()}
    assert not [
        token for token, span in zip(found.ids, found.spans, strict=True) if token in controls and span[0] in inside
    ]
    lengths = Lengths(count.load(ref), one.template, one.vocabulary.controls, one)
    assert [(length.total, length.supervised) for length in lengths.of([row], loss_on)] == [
        (len(found.ids), found.supervised)
    ]


# --- the mask, by example ------------------------------------------------------------------------------------------

ROW: list[dict[str, Any]] = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "  Hello"},
    {"role": "user", "content": "Bye"},
    {"role": "assistant", "content": "See you"},
]


def shown(row: Any, model: str, tokenizer: str, **options: Any) -> tuple[str, str]:
    """Return the masked and the supervised text, control tokens included; | where they change over."""
    found = phi3data.encode(row, model, tokenizer=tokenizer, spans=True, **options)
    text = phi3data.render(row, model)
    supervised = [text[start:end] for (start, end), on in zip(found.spans, found.mask, strict=True) if on]
    masked = [text[start:end] for (start, end), on in zip(found.spans, found.mask, strict=True) if not on]
    return "".join(masked), "".join(supervised)


def test_answers_their_ends_and_the_end_of_text_are_supervised(tiny: dict[str, str]) -> None:
    assert shown(ROW, "phi-3-mini", tiny["llama"]) == (
        "<|system|>Be kind.<|end|><|user|>Hi<|end|><|assistant|><|user|>Bye<|end|><|assistant|>",
        "Hello<|end|>See you<|end|><|endoftext|>",
    )
    assert shown(ROW, "phi-3-mini", tiny["llama"], loss_on="last")[1] == "See you<|end|><|endoftext|>"
    assert (
        shown(ROW, "phi-3-mini", tiny["llama"], loss_on="all")[0]
        == "<|system|><|user|><|assistant|><|user|><|assistant|>"
    )
    assert shown(ROW, "phi-3-medium", tiny["llama"])[1] == "Hello<|end|>See you<|end|>"
    assert shown(ROW, "phi-4-mini", tiny["bytes"])[1] == "Hello<|end|>See you<|end|><|endoftext|>"


def test_weights_are_honoured(tiny: dict[str, str]) -> None:
    row = [dict(turn) for turn in ROW]
    row[4]["weight"] = 0
    assert shown(row, "phi-3-mini", tiny["llama"])[1] == "Hello<|end|>"
    assert shown(row, "phi-3-mini", tiny["llama"], loss_on="last")[1] == ""
    row[2]["weight"] = 1
    assert shown(row, "phi-3-mini", tiny["llama"])[1] == "Hello<|end|>"


def test_a_row_that_ends_with_the_user_supervises_no_end_of_text(tiny: dict[str, str]) -> None:
    assert shown(ROW[:4], "phi-3-mini", tiny["llama"])[1] == "Hello<|end|>"


def test_a_token_that_begins_in_the_template_is_not_supervised(shared: Path) -> None:
    """Phi-3-small keeps the newline after <|assistant|>; a blank line in the answer is one token with it."""
    path = str(shared / "tokenizers" / "phi-3-small")
    row = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "\nHello"}]
    found = phi3data.encode(row, "phi-3-small", tokenizer=path)
    assert found.ids[-6:] == [100263, 271, 9906, 100266, 198, 100257]  # 271 is two newlines
    assert found.mask[-6:] == [False, False, True, True, False, True]


def test_control_text_under_each_policy(tiny: dict[str, str], shared: Path) -> None:
    row = [{"role": "user", "content": "Say <|end|> now"}, {"role": "assistant", "content": "No."}]
    real = str(shared / "tokenizers" / "phi-3-mini")
    assert phi3data.encode(row, tokenizer=real, control_text="keep").ids == (
        [32010, 14891, 29871, 32007, 1286, 32007, 32001, 1939, 29889, 32007, 32000]
    )
    escaped = phi3data.encode(row, tokenizer=real)
    assert escaped.ids == ([32010, 14891, 529, 29989, 355, 29989, 29958, 1286, 32007, 32001, 1939, 29889, 32007, 32000])
    assert phi3data.encode(row, tokenizer=real, control_text="escape") == escaped
    with pytest.raises(phi3data.InputError, match=r"/messages/0/content: .*<\|end\|> \(id 32007\) at character 5"):
        phi3data.encode(row, tokenizer=real, control_text="error")


def test_bad_policies_and_missing_tokenizers_are_one_sentence(tiny: dict[str, str]) -> None:
    with pytest.raises(phi3data.UsageError, match="did you mean 'assistant'"):
        phi3data.encode(ROW, tokenizer=tiny["llama"], loss_on="asistant")  # type: ignore[arg-type]
    with pytest.raises(phi3data.UsageError, match="expected escape, keep, error"):
        phi3data.encode(ROW, tokenizer=tiny["llama"], control_text="drop")  # type: ignore[arg-type]


def test_without_the_tokenizer_there_are_no_ids(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(phi3data.UsageError, match="is not on this machine: give its directory with --tokenizer"):
        phi3data.encode(ROW, "phi-4")


# --- tokenizers that are not as the family's own -------------------------------------------------------------------


def changed(tmp_path: Path, kind: str, change: Any) -> str:
    """Write a tiny tokenizer with something changed in its file."""
    write_tiny(tmp_path, kind)
    path = tmp_path / "tokenizer.json"
    table = json.loads(path.read_text("utf-8"))
    change(table)
    path.write_text(json.dumps(table), "utf-8")
    return str(tmp_path)


def assert_as_the_library(row: list[dict[str, Any]], path: str, model: str = "phi-3-mini") -> phi3data.Encoded:
    from tokenizers import Tokenizer

    whole = Tokenizer.from_file(str(Path(path) / "tokenizer.json"))
    found = phi3data.encode(row, model, tokenizer=path)
    assert found.ids == whole.encode(phi3data.render(row, model), add_special_tokens=False).ids
    profile = family.model(model)
    (length,) = Lengths.for_tokenizer(count.resolve(path, profile), profile).of(
        [Conversation([Message(**turn) for turn in row])]
    )
    assert (length.total, length.supervised) == (len(found), found.supervised)
    return found


def metaspace(table: dict[str, Any]) -> None:
    table["normalizer"] = None
    table["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}


def test_a_tokenizer_that_marks_the_start_of_the_row_only(tmp_path: Path, tiny: dict[str, str]) -> None:
    """What transformers 5 writes when it saves Phi-3's tokenizer."""
    path = changed(tmp_path, "llama", metaspace)
    found = assert_as_the_library(ROW, path)
    assert found.ids != phi3data.encode(ROW, tokenizer=tiny["llama"]).ids


def add_word(table: dict[str, Any]) -> None:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False}
    table["added_tokens"].append({"id": table["added_tokens"][-1]["id"] + 1, "content": "Hello", **flags})


def test_a_word_added_to_the_vocabulary_is_no_control_token(tmp_path: Path) -> None:
    path = changed(tmp_path, "llama", add_word)
    assert_as_the_library(ROW, path)
    assert phi3data.check([{"messages": ROW}], tokenizer=path).ok


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table["added_tokens"].append({"id": 1, "special": True}),
        lambda table: table.update(added_tokens=[3]),
        lambda table: table.update(model={"type": "BPE"}),
    ],
)
def test_a_broken_tokenizer_is_one_sentence(tmp_path: Path, change: Any) -> None:
    with pytest.raises(phi3data.InputError, match="is no readable tokenizer"):
        phi3data.encode(ROW, tokenizer=changed(tmp_path, "llama", change))


def with_template(tmp_path: Path, template: str) -> str:
    write_tiny(tmp_path, "llama")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|endoftext|>"}))
    (tmp_path / "chat_template.jinja").write_text(template)
    return str(tmp_path)


def masked_and_supervised(row: list[dict[str, Any]], path: str) -> tuple[str, str]:
    text, found = phi3data.render(row, tokenizer=path), phi3data.encode(row, tokenizer=path, spans=True)
    halves = ["", ""]
    for (start, end), on in zip(found.spans, found.mask, strict=True):
        halves[on] += text[start:end]
    return halves[0], halves[1]


def test_white_space_that_the_model_has_to_produce_is_supervised(tmp_path: Path) -> None:
    """As in [/INST] yes</s>: the prompt ends before the space."""
    template = (
        "{% for m in messages %}{% if m.role == 'user' %}<|user|> {{ m.content }} <|assistant|>"
        "{% else %} {{ m.content }}<|end|>{% endif %}{% endfor %}"
    )

    def keep_space(table: dict[str, Any]) -> None:
        for token in table["added_tokens"]:
            token["rstrip"] = False

    path = with_template(tmp_path, template)
    changed(tmp_path, "llama", keep_space)
    assert masked_and_supervised(ROW[1:3], path)[1] == "   Hello<|end|>"


def test_control_tokens_after_the_last_turn_are_supervised_only_if_they_end_the_text(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}<|user|><|endoftext|>"
    )
    masked, supervised = masked_and_supervised(ROW[1:3], with_template(tmp_path, template))
    assert supervised == "Hello<|end|>"
    assert masked.endswith("<|user|><|endoftext|>")


def test_without_control_tokens_only_words_are_supervised(tmp_path: Path) -> None:
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    row: list[dict[str, Any]] = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Bye"},
        {"role": "user", "content": "no"},
    ]
    path = with_template(tmp_path, template)
    masked, supervised = masked_and_supervised(row, path)
    assert (masked, supervised) == ("user: Hi\nassistant:\nuser: no\n", " Bye")
    profile = family.model("phi-3-mini")
    turns = [Conversation([Message(**turn) for turn in row])]
    (length,) = Lengths.for_tokenizer(count.resolve(path, profile), profile).of(turns)
    assert length.supervised == phi3data.encode(row, tokenizer=path).supervised


def test_words_that_the_template_changes_beyond_recognition_are_rendered_and_not_encoded(tmp_path: Path) -> None:
    path = with_template(tmp_path, "{% for m in messages %}{{ m.content ~ m.content }}<|end|>{% endfor %}")
    assert phi3data.render(ROW[1:3], tokenizer=path) == "HiHi<|end|>  Hello  Hello<|end|>"
    with pytest.raises(phi3data.InputError, match="it cannot be told what to train on"):
        phi3data.encode(ROW[1:3], tokenizer=path)
    (found,) = phi3data.check([{"messages": ROW[1:3]}], tokenizer=path, select="T").findings
    assert (found.code, found.pointer) == ("T605", "/messages")


def test_what_stands_between_two_contents_of_a_message_is_of_its_turn(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}"
        "{% for call in m.tool_calls or [] %}<|tool|>{{ call.function.name }}<|/tool|>{% endfor %}<|end|>{% endfor %}"
    )
    row = [ROW[1], {"role": "assistant", "content": "Bye", "tool_calls": [{"function": {"name": "say"}}]}]
    masked, supervised = masked_and_supervised(row, with_template(tmp_path, template))
    assert (masked, supervised) == ("<|user|>Hi<|end|><|assistant|>", "Bye<|tool|>say<|/tool|><|end|>")


def test_half_of_a_surrogate_pair_is_one_sentence(tiny: dict[str, str]) -> None:
    with pytest.raises(phi3data.InputError, match=r"surrogate pair \(U\+D83D\) at character 12 .*\(J208\)"):
        phi3data.encode([{"role": "user", "content": "ab\ud83d"}], tokenizer=tiny["llama"])


def test_tools_that_are_an_empty_text_are_written(tiny: dict[str, str]) -> None:
    row = [{**ROW[0], "tools": ""}, *ROW[1:3]]
    assert_as_the_library(row, tiny["bytes"], "phi-4-mini")


# --- every row of the real data ------------------------------------------------------------------------------------


def real_rows(folder: Path) -> Iterator[Conversation]:
    """Yield every conversation of the real data; a message without words gets none, since no template renders it."""
    from phi3data.sources.inputs import find
    from phi3data.sources.open import open_source, read_all
    from phi3data.sources.reader import Reader, SourceConfig

    for number, item in enumerate(find(str(folder / "*.json*"))):
        source = open_source(item, number, SourceConfig(), folder)
        reader = Reader(source, SourceConfig())
        for raw in read_all(source):
            found = reader.conversations(raw.value)
            assert isinstance(found, list)
            for conversation in found:
                for message in conversation.messages:
                    message.content = message.content or ""
                yield conversation


def ids_of(encode: Encoder, path: Path, model: str) -> Any:
    """Return the library's own way from text to ids, control tokens included."""
    if path.suffix == ".json":
        whole = library(str(path.parent))
        return lambda text: whole.encode(text, add_special_tokens=False).ids
    import tiktoken

    from phi3data.tokens.exact.kinds import CL100K
    from phi3data.tokens.exact.library import read_ranks

    special = {control.text: control.id for control in encode.vocabulary.controls.by_text.values()}
    ranks = read_ranks(path)
    encoding = tiktoken.Encoding("phi-3-small", pat_str=CL100K, mergeable_ranks=ranks, special_tokens=special)
    return lambda text: encoding.encode(text, allowed_special="all")


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted(FILES))
def test_rows_of_the_real_data(model: str, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = shared / "tokenizers" / Path(*FILES[model])
    profile = family.model(model)
    ref = count.resolve(str(path.parent), profile)
    one = encoder(ref, profile)
    oracle = ids_of(one, path, model)
    lengths = Lengths(count.load(ref), one.template, one.vocabulary.controls, one)
    rows = list(real_rows(shared / "data"))[::5]  # all of them take a minute a model
    equal = masks = counts = 0
    for row, length in zip(rows, lengths.of(rows), strict=True):
        rendered = one.template.render(row)
        found = one.encode(row, spans=True, rendered=rendered)
        equal += found.ids == oracle(rendered)
        counts += (length.total, length.supervised) == (len(found), found.supervised)
        # A character of several tokens is in the span of each.
        spans = [range(*span) for span, on in zip(found.spans, found.mask, strict=True) if on]
        words = "".join(rendered[at] for at in sorted(set(chain(*spans))))
        masks += _letters(words) == _letters(_answers(row, profile))
    with capsys.disabled():
        print(f"\n{model}: ids of {equal:,} of {len(rows):,} rows equal, masks {masks:,}, counts {counts:,}")
    assert equal == masks == counts == len(rows) > 3_000


def _answers(row: Conversation, model: family.ModelProfile) -> str:
    """Return what is supervised, written down independently: answers, their ends, and the end of text."""
    answers = [message.content or "" for message in row.messages if message.role == "assistant"]
    end = model.template.end if row.messages[-1].role == "assistant" else ""
    return "".join(f"{answer}<|end|>" for answer in answers) + end


def _letters(text: str) -> str:
    """Leave white space out: a control token may swallow some."""
    return "".join(text.split())
