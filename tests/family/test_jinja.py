"""A tokenizer's own chat template: in a sandbox, followed to people's words, or refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import phi3data
from phi3data import family
from phi3data.chat import Conversation, Message
from phi3data.family.jinja import JinjaTemplate, recognise
from phi3data.family.template import TemplateError
from phi3data.tokens.count import resolve, template_of

ROW = Conversation([Message("system", "Be kind."), Message("user", " Hi \n"), Message("assistant", "Hello!")])


def test_words_are_found_though_the_template_strips_them() -> None:
    source = "{% for m in messages %}[{{ m.role }}] {{ m.content | trim }} /{% endfor %}"
    found = JinjaTemplate(source).render(ROW)
    assert found == "[system] Be kind. /[user] Hi /[assistant] Hello! /"
    assert found.contents == ("Be kind.", "Hi", "Hello!")
    assert found.literals == ("[system] ", " /[user] ", " /[assistant] ", " /")


def test_white_space_that_the_template_leaves_belongs_to_the_words() -> None:
    assert JinjaTemplate("{% for m in messages %}<{{ m.content }}>{% endfor %}").render(ROW).contents[1] == " Hi \n"


def test_a_dropped_message_is_said_and_tools_that_vanish() -> None:
    source = "{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}"
    row = Conversation(ROW.messages, tools=[{"type": "function"}])
    assert [(item.code, item.pointer) for item in JinjaTemplate(source).render(row).lost] == [
        ("T606", "/messages/0"),
        ("G906", "/tools"),
    ]


def test_words_that_the_template_changes_are_followed_as_it_writes_them() -> None:
    found = JinjaTemplate("{% for m in messages %}{{ m.content | upper }}{% endfor %}").render(ROW)
    assert found.contents == ("BE KIND.", "HI", "HELLO!")


@pytest.mark.parametrize("change", ["m.content ~ m.content", "m.content | length", "m.content | truncate(4)"])
def test_words_that_cannot_be_followed_are_refused(change: str) -> None:
    with pytest.raises(TemplateError, match="changes or repeats the words"):
        JinjaTemplate(f"{{% for m in messages %}}{{{{ {change} }}}}{{% endfor %}}").render(ROW)


def test_marks_for_generation_are_passed_through() -> None:
    source = "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
    assert JinjaTemplate(source).render(ROW) == "Be kind. Hi \nHello!"


def test_what_the_template_itself_refuses_is_a_finding() -> None:
    with pytest.raises(TemplateError, match="roles must alternate"):
        JinjaTemplate("{{ raise_exception('roles must alternate') }}").render(ROW)


@pytest.mark.parametrize(
    "source", ["{{ ''.__class__.__mro__ }}", "{{ messages.append(1) }}", "{{ range(999999999) | list }}"]
)
def test_the_sandbox_holds(source: str) -> None:
    with pytest.raises(TemplateError, match="the chat template fails"):
        JinjaTemplate(source).render(ROW)


def test_a_template_that_is_no_jinja_is_one_sentence() -> None:
    with pytest.raises(phi3data.InputError, match="not valid jinja2"):
        JinjaTemplate("{% for %}")


def folder(tmp_path: Path, shared: Path, template: str | None) -> str:
    """Make a tokenizer directory with another chat template."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((shared / "tokenizers" / "phi-3-mini" / name).read_bytes())
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    config["chat_template"] = template
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    return str(tmp_path)


def test_both_revisions_are_told_apart_from_a_directory(tmp_path: Path, shared: Path) -> None:
    from tests.family.test_template import JINJA

    model = family.model("phi-3-mini")
    for name in ("phi-3", "phi-3-first"):
        ref = resolve(folder(tmp_path, shared, JINJA[name]), model)
        assert (ref.template, ref.note) == (name, "")
    ref = resolve(folder(tmp_path, shared, JINJA["phi-3-medium"]), model)
    assert ref.template == "phi-3-medium"
    assert "not that of phi-3-mini-4k-instruct" in ref.note


def test_a_template_of_the_users_own_renders_and_encodes(tmp_path: Path, shared: Path) -> None:
    source = "{% for m in messages %}{{ '<|' + m.role + '|>' + (m.content | trim) + '<|end|>' }}{% endfor %}X"
    where = folder(tmp_path, shared, source)
    (tmp_path / "chat_template.jinja").write_text(source.replace("X", "{{ eos_token }}"))  # comes before the other
    ref = resolve(where, family.model("phi-3-mini"))
    assert ref.template.startswith("custom ")
    assert isinstance(template_of(ref), JinjaTemplate)
    row = [{"role": "user", "content": "Hi "}, {"role": "assistant", "content": " Hello!"}]
    assert phi3data.render(row, tokenizer=where) == "<|user|>Hi<|end|><|assistant|>Hello!<|end|><|endoftext|>"
    encoded = phi3data.encode(row, tokenizer=where)
    assert encoded.ids == [32010, 6324, 32007, 32001, 15043, 29991, 32007, 32000]
    assert encoded.mask == [False] * 4 + [True] * 4


def test_a_template_for_another_vocabulary_is_not_used(tmp_path: Path, shared: Path) -> None:
    foreign = (
        "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>{{ m.content }}<|eot_id|>{% endfor %}"
    )
    ref = resolve(folder(tmp_path, shared, foreign), family.model("phi-3-mini"))
    assert ref.template == "phi-3"
    assert "<|eot_id|>" in ref.note


def test_recognition_needs_every_probe() -> None:
    almost = "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}{{ eos_token }}"
    assert recognise(JinjaTemplate(almost, {"eos_token": "<|endoftext|>"}), family.templates().values()) is None
