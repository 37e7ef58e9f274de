"""An inspected row: what is found about it, and that each renderer shows it, safely and without colour too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from tests.tokens.tiny import write_tiny

import phi3data
from phi3data import family
from phi3data.chat import Conversation, Message
from phi3data.inspection.rows import Row
from phi3data.inspection.spelling import shown
from phi3data.inspection.view import Inspection, Inspector, Settings
from phi3data.report.inspection.document import document
from phi3data.report.inspection.html import render as page
from phi3data.report.inspection.lines import Atom, flow, words
from phi3data.report.inspection.terminal import render
from phi3data.tokens import count
from phi3data.tokens.encode import ControlText

MODEL = "phi-3-mini"
ESTIMATE = count.TokenizerRef(name="estimate", template="phi-3")


def turn(role: str, content: str | None, **extra: Any) -> Message:
    return Message(role, content, **extra)


def inspector(
    ref: count.TokenizerRef | str, *, limit: int = 4096, loss_on: Any = "assistant", control_text: Any = "escape"
) -> Inspector:
    model = family.model(MODEL)
    tokenizer = count.resolve(ref, model) if isinstance(ref, str) else ref
    settings = Settings(model=model.name, tokenizer=tokenizer, loss_on=loss_on, control_text=control_text, limit=limit)
    return Inspector(settings, model)


def inspect(
    ref: count.TokenizerRef | str, *messages: Message, tools: list[Any] | None = None, **options: Any
) -> Inspection:
    conversation = Conversation(list(messages), tools)
    row = Row(path="rows.jsonl", number=3, line=3, format="chat", conversations=[conversation])
    (found,) = inspector(ref, **options).inspect(row)
    return found


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny(tmp_path_factory.mktemp("llama"), "llama"))


@pytest.fixture(scope="session")
def tiny_bytes(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny(tmp_path_factory.mktemp("bytes"), "bytes"))


ROW = (
    turn("user", "Be <|end|> kind. 日é"),
    turn("assistant", "  Hello world\n    bye \x1b[31m"),
    turn("tool", "no"),
    turn("assistant", "Bye", weight=0),
)
GOLDEN = """\
rows.jsonl:3
row 3, format chat

── Chat ────────────────────────────────────────────────────────────────────────
user  13 tokens, not trained on
  Be <|end|> kind. 日é
  ! T601 the text spells the control token <|end|>: read as plain text

assistant  14 tokens, trained on
    Hello world
      bye ⟨U+001B⟩[31m
  ! C507 leading-space-lost: 2 characters of white space beside a control token
         vanish with it (/messages/1/content)

tool  the model never sees it
  no
  ! R407 role-dropped-by-template: the template drops tool messages without a
         word (/messages/2/role)

assistant  1 token, not trained on
  Bye
  weight: 0

── Text that the model reads ───────────────────────────────────────────────────
⏎ line end  · space at an end or in a run  ␤ ␣ swallowed by a control token

  ⟨<|user|>⟩␤
  Be <|end|> kind. 日é⟨<|end|>⟩␤
  ⟨<|assistant|>⟩␤
  ␣␣Hello world⏎
  ····bye ⟨U+001B⟩[31m⟨<|end|>⟩␤
  ⟨<|assistant|>⟩␤
  Bye⟨<|end|>⟩␤
  ⟨<|endoftext|>⟩

── Tokens ──────────────────────────────────────────────────────────────────────
+ trained on  ⟨…⟩ control token  │ token border  <0xE4> byte  · space

   ⟨<|user|>⟩
   Be│·│<│|│e│n│d│|│> kind. 日│<0xC3><0xA9>=é⟨<|end|>⟩
   ⟨<|assistant|>⟩
 + Hello world│⏎
 + ··│··│b│y│e│·│⟨U+001B⟩│[│3│1│m
~~ limit of 30 tokens: what follows is cut off ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
~+ ⟨<|end|>⟩
~  ⟨<|assistant|>⟩
~  Bye⟨<|end|>⟩
~  ⟨<|endoftext|>⟩

── Counts ──────────────────────────────────────────────────────────────────────
  tokens     35 exact, 15 trained on (42.9%), 7 control tokens
  longest    message 2, assistant: 14 tokens
  limit      30, 5 tokens past it, 1 of them trained on
  loss on    assistant turns
  model      phi-3-mini-4k-instruct, template phi-3
  tokenizer  TOKENIZER
"""


def test_the_terminal_without_colour(tiny: str) -> None:
    found = inspect(tiny, *ROW, limit=30)
    assert render(found, width=80) == GOLDEN.replace("TOKENIZER", tiny)


def test_every_line_fits_and_nothing_of_the_data_steers_the_terminal(tiny: str) -> None:
    nasty = "\x1b]0;title\x07\x1b[2J\r\x9b31m 日本語、日本語。" * 9 + "x" * 300 + " \u202eevil"
    found = inspect(tiny, turn("us\x1b[1mer", nasty), turn("assistant", nasty), limit=300)
    found.path = "rows\x1b[5m.jsonl"
    for width in (40, 80, 120):
        plain = render(found, width=width)
        assert all(sum(atom.width for atom in words(line)) <= width for line in plain.splitlines())
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", plain)
        coloured = render(found, width=width, colour=True)
        codes = set(re.findall(r"\x1b(.*?m)", coloured))
        assert all(re.fullmatch(r"\[[0-9;]*m", code) for code in codes)
        assert not re.search(r"[\x00-\x09\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202e]", coloured)


@pytest.mark.parametrize(
    "content",
    ["a\n\t" + "q" * 120, "\t" * 90, "  " * 60 + "q" * 99, "a\t日本" + "語" * 70],
    ids=["tab and word", "tabs", "spaces and word", "wide"],
)
def test_words_of_many_signs_fit(content: str, tiny: str) -> None:
    found = inspect(tiny, turn("user", content), turn("assistant", "Hi"))
    for width in (20, 24, 28, 29, 40, 80):
        for line in render(found, width=width).splitlines():
            assert cell_len(line) <= width, line
    shown = render(found, width=40).partition("Text that the model reads")[2].partition("── Tokens")[0]
    for character in "q語":
        assert shown.count(character) == content.count(character)


def test_headings_are_broken_where_the_terminal_is_narrow(tiny: str) -> None:
    found = inspect(tiny, turn("user", "Hi"), turn("assistant", "Hi"))
    assert "\n── Text that the\n   model reads\n" in render(found, width=20)
    assert "\n── Text that the model reads ─\n" in render(found, width=30)


def test_a_line_of_several_rows_is_noted(tiny: str) -> None:
    conversation = Conversation([turn("user", "Hi"), turn("assistant", "Hello")])
    row = Row(path="a.json", number=1, line=1, format="chat", conversations=[conversation], several=True)
    (found,) = inspector(tiny).inspect(row)
    note = "row 1, the first of several on this line (--record FILE:ROW picks one), format chat"
    assert note in " ".join(render(found).split())
    assert note in page([found])
    row.several = False
    assert "several" not in render(inspector(tiny).inspect(row)[0])


def test_an_empty_row_has_no_longest_message(tiny: str) -> None:
    for ref in (tiny, ESTIMATE):
        found = inspect(ref, turn("user", ""), turn("assistant", ""))
        assert found.counts is not None
        assert found.counts.longest is None
        assert "longest" not in render(found)


def test_colour_says_what_signs_say_without_it(tiny: str) -> None:
    found = inspect(tiny, turn("user", "Hi"), turn("assistant", "Hello world"), limit=6)
    text = render(found, colour=True)
    assert "\x1b[1;7m<|user|>\x1b[0m" in text  # a control token is bold and inverse
    assert "\x1b[32mHello" in text.replace("\x1b[32m+", "")  # supervised is green
    assert re.search(r"\x1b\[[0-9;]*9;[0-9;]*m<\|endoftext\|>", text)  # past the limit is struck out
    assert "⟨" not in text
    plain = render(found)
    assert "~+ ⟨<|endoftext|>⟩" in plain
    assert "limit of 6 tokens" in plain


text = st.text(st.sampled_from("ab \n\t\u3000日é▁🙂\u0301<|end|>Hello"), max_size=12) | st.sampled_from(
    ["<|end|>", " <|end|>  x", "<|user|>\n\n", "</s> a", "\n  <s>"]
)


@given(contents=st.lists(text, min_size=1, max_size=4), keep=st.booleans(), kind=st.sampled_from(["llama", "bytes"]))
def test_swallowed_is_exactly_what_belongs_to_no_token(
    contents: list[str], keep: bool, kind: str, tiny: str, tiny_bytes: str
) -> None:
    messages = [turn(role, content) for role, content in zip(["user", "assistant"] * 2, contents, strict=False)]
    policy: ControlText = "keep" if keep else "escape"
    found = inspect(tiny if kind == "llama" else tiny_bytes, *messages, control_text=policy)
    assert found.rendered is not None
    assert found.tokens is not None
    assert "".join(piece.text for piece in found.pieces) == found.rendered
    covered = {place for token in found.tokens for place in range(token.start, token.end)}
    at = 0
    for piece in found.pieces:
        places = range(at, at + len(piece.text))
        assert all((place in covered) == (piece.kind != "swallowed") for place in places), piece
        at += len(piece.text)
    control = [token.shown for token in found.tokens if token.control]
    assert control == [piece.text for piece in found.pieces if piece.kind == "control"]
    encoded = phi3data.encode(messages, MODEL, tokenizer=tiny if kind == "llama" else tiny_bytes, control_text=policy)
    assert [token.id for token in found.tokens] == encoded.ids
    assert [token.supervised for token in found.tokens] == encoded.mask


def test_parts_of_characters_are_shown_as_bytes_and_what_they_make() -> None:
    llama = shown("é\nx", [(0, 1), (0, 1), (0, 1), (1, 2), (2, 3)], ["▁", "<0xC3>", "<0xA9>", "<0x0A>", "x"])
    assert llama == [("▁", ""), ("<0xC3>", ""), ("<0xA9>", "é"), ("\n", ""), ("x", "")]
    tiktoken = shown("aé", [(0, 2), (1, 2)], ["a\\xc3", "\\xa9"])
    assert tiktoken == [("a<0xC3>", ""), ("<0xA9>", "é")]
    byte_level = shown(" 细", [(0, 2), (1, 2), (1, 2)], ["Ġç", "»", "Ĩ"])
    assert byte_level == [(" <0xE7>", ""), ("<0xBB>", ""), ("<0x86>", "细")]
    assert shown("\nhi", [(0, 1), (0, 1), (1, 3)], ["▁", "<0x0A>", "hi"]) == [("▁", ""), ("\n", ""), ("hi", "")]


def test_counts_and_the_limit(tiny: str) -> None:
    found = inspect(tiny, turn("user", "Hi"), turn("assistant", "Hello world"), limit=7)
    assert found.counts is not None
    assert found.tokens is not None
    assert [token.shown for token in found.tokens] == [
        "<|user|>", "Hi", "<|end|>", "<|assistant|>", "Hello", " world", "<|end|>", "<|endoftext|>"
    ]  # fmt: skip
    counts = found.counts
    assert (counts.total, counts.supervised, counts.control, counts.longest) == (8, 4, 5, 1)
    assert (counts.over, counts.over_supervised) == (1, 1)
    assert [each.tokens for each in found.turns] == [1, 2]
    assert "8 exact, 4 trained on (50.0%), 5 control tokens" in render(found)
    assert "7, 1 token past it, 1 of them trained on" in render(found)


def test_without_a_tokenizer_the_count_is_an_estimate_and_says_so() -> None:
    found = inspect(ESTIMATE, turn("user", "Hi"), turn("assistant", "  Hello <|end|>"), limit=5)
    assert found.tokens is None
    assert found.counts is not None
    assert found.counts.over_supervised is None
    text = render(found)
    assert "── Tokens" not in text
    assert "ESTIMATED" in text
    assert "--tokenizer DIR" in text
    assert "⟨<|assistant|>⟩␤\n  ␣␣Hello <|end|>⟨<|end|>⟩␤" in text
    assert "T601" in text
    assert "ESTIMATED" in page([found])
    assert document(found)["ids"] is None
    assert document(found)["counts"]["total"] == found.counts.total


def test_a_row_that_the_template_cannot_render_is_shown_with_the_place(tiny: str) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    found = inspect(tiny, turn("user", "Hi"), turn("assistant", None, tool_calls=[call]))
    assert found.problem is not None
    assert (found.problem.code, found.problem.pointer) == ("T605", "/messages/1/content")
    assert found.usable
    for text in (render(found), page([found])):
        assert "T605" in text
        assert "/messages/1/content" in text
        assert "Text that the model reads" not in text
        assert "no text" in text
    assert document(found)["rendered"] is None
    assert document(found)["findings"][0]["code"] == "T605"


def test_tools_that_vanish_are_named_beside_them(tiny: str) -> None:
    found = inspect(tiny, turn("user", "Hi"), turn("assistant", "Hi"), tools=[{"type": "function"}])
    assert [note.code for note in found.notes] == ["G906"]
    assert "! G906" in render(found)


def test_refused_control_text_is_a_problem_and_the_text_is_still_shown(tiny: str) -> None:
    for ref in (tiny, ESTIMATE):
        found = inspect(ref, turn("user", "Hi </s>"), turn("assistant", "Hi"), control_text="error")
        assert found.problem is not None
        assert found.problem.code == "T602"
        assert found.counts is None
        assert "refused" in render(found)
        assert "Text that the model reads" in render(found)


def test_kept_control_text_is_a_control_token(tiny: str) -> None:
    found = inspect(tiny, turn("user", "Hi <|end|> \n Bye"), turn("assistant", "Hi"), control_text="keep")
    assert "Hi ⟨<|end|>⟩␣␤\n  ␣Bye⟨<|end|>⟩" in render(found)
    assert found.counts is not None
    assert found.counts.control == 6
    escaped = inspect(tiny, turn("user", "Hi <|end|> \n Bye"), turn("assistant", "Hi"))
    assert "Hi <|end|>·⏎\n  ·Bye⟨<|end|>⟩" in render(escaped)


def test_the_document_has_the_shape_that_programs_rely_on(tiny: str) -> None:
    found = inspect(tiny, turn("user", "Hi 日"), turn("assistant", "Hello"))
    made = msgspec.json.decode(msgspec.json.encode(document(found)))
    assert set(made) == {
        "path", "row", "line", "conversation", "format", "label", "model", "template", "tokenizer", "loss_on",
        "control_text", "limit", "messages", "rendered", "ids", "mask", "tokens", "spans", "counts", "findings", "raw",
    }  # fmt: skip
    assert len(made["ids"]) == len(made["mask"]) == len(made["tokens"]) == len(made["spans"])
    assert made["tokens"][0] == "<|user|>"
    assert made["rendered"][slice(*made["spans"][0])] == "<|user|>"
    assert made["counts"]["supervised"] == sum(made["mask"]) == 3
    assert made["messages"][1] == {
        "role": "assistant", "content": "Hello", "tokens": 1, "rendered": True, "supervised": True
    }  # fmt: skip


def test_the_page_escapes_everything(tiny: str) -> None:
    bad = "<script>alert(1)</script><img src=x onerror=y>\x1b\u202e"
    found = inspect(tiny, turn(bad, bad), turn("assistant", bad, name=bad, tool_calls=[bad]), tools=[bad], limit=3)
    found.path, found.label = bad, bad
    broken = Row(path=bad, number=1, line=1, format="chat", finding=phi3data.Finding("J201", bad, bad, 5), excerpt=bad)
    html = page([found, *inspector(tiny).inspect(broken)])
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "default-src 'none'" in html
    assert not re.search(r"(?:src|href)=\"(?!data:,)", html)


def test_the_page_has_every_token_with_its_kind(tiny: str) -> None:
    found = inspect(tiny, turn("user", "Hi"), turn("assistant", "Hello\n  world"), limit=6)
    html = page([found])
    assert found.tokens is not None
    classes = re.findall(r'<span class="(t[^"]*)" title="([^"]*), id (\d+)', html)
    assert [int(id_) for _, _, id_ in classes] == [token.id for token in found.tokens]
    assert [("s" in kind.split(), "c" in kind.split(), "o" in kind.split()) for kind, _, _ in classes] == [
        (token.supervised, token.control, number >= 6) for number, token in enumerate(found.tokens)
    ]
    assert html.count('class="limit"') == 1
    assert "<|" not in html, "control tokens are escaped too"
    assert page([found]) == html


def test_lines_break_by_cells_and_keep_indentation() -> None:
    def lines(text: str, width: int) -> list[str]:
        return ["".join(part for atom in line for part, _ in atom.parts) for line in flow(words(text), width)]

    assert lines("日本語日本語", 4) == ["日本", "語日", "本語"]
    assert lines("日本。語", 6) == ["日本。", "語"]
    assert lines("a bb ccc", 4) == ["a bb", "ccc"]
    assert lines("  if x:\n\treturn\n\n", 20) == ["  if x:", "    return", ""]
    assert lines("abcdefgh", 3) == ["abc", "def", "gh"]
    assert list(flow([Atom("ab", ends=True), Atom("c")], 9)) == [[Atom("ab", ends=True)], [Atom("c")]]


def test_the_real_tokenizer(shared: Path) -> None:
    folder = str(shared / "tokenizers" / "phi-3-mini")
    found = inspect(folder, turn("user", "你好薛"), turn("assistant", "    def f():\n        return 1"))
    text = render(found)
    assert " + def f│():│⏎\n + ·······│·return│·│1⟨<|end|>⟩\n" in text
    assert "<0xE8><0x96><0x9B>=薛" in text
    assert "! C507 leading-space-lost: 4 characters" in text
    assert str(found.rendered) == str(phi3data.render([{"role": "user", "content": "你好薛"}, {
        "role": "assistant", "content": "    def f():\n        return 1"}], MODEL))  # fmt: skip
