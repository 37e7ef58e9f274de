"""A tokenizer's own chat template: in a sandbox, followed to people's words, or refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import phi3data
from phi3data import family
from phi3data.chat import Conversation, Message
from phi3data.family.jinja import JinjaTemplate, recognise
from phi3data.family.template import TemplateError
from phi3data.family.written import to_jinja
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
    assert found.contents == ("BE KIND.", " HI \n", "HELLO!")


@pytest.mark.parametrize("change", ["m.content ~ m.content", "m.content | length", "m.content | truncate(4)"])
def test_words_that_cannot_be_followed_are_one_literal_and_it_says_so(change: str) -> None:
    found = JinjaTemplate(f"{{% for m in messages %}}{{{{ {change} }}}}{{% endfor %}}").render(ROW)
    assert (found.literals, found.contents, found.followed) == ((str(found),), (), False)
    assert JinjaTemplate("{{ messages[1].content }}").render(ROW).followed


def test_white_space_of_a_header_is_no_ones_words() -> None:
    source = (
        "{% for m in messages %}{{ '<|' + m.role + '|>\n\n' }}"
        "{{ m.content | trim if m.role == 'assistant' else m.content }}<|end|>{% endfor %}"
    )
    row = Conversation([Message("user", "Hi "), Message("assistant", "\n\nYes")])
    found = JinjaTemplate(source).render(row)
    assert found.contents == ("Hi ", "Yes")
    assert found.literals[1] == "<|end|><|assistant|>\n\n"


def test_empty_words_have_their_place() -> None:
    row = Conversation([Message("user", "  "), Message("assistant", "")])
    for trim, blank in (("", "  "), (" | trim", "")):
        found = JinjaTemplate(f"{{% for m in messages %}}[{{{{ m.content{trim} }}}}]{{% endfor %}}").render(row)
        assert (found.contents, found.messages, found.lost) == ((blank, ""), (0, 1), ())
    guarded = "{% for m in messages %}{% if m.content %}[{{ m.content }}]{% endif %}{% endfor %}x"
    found = JinjaTemplate(guarded).render(row)
    assert (found, found.contents, found.followed) == ("[  ]x", ("  ",), True)


THINKS = (
    "{% for m in messages %}{% set c = m.content %}{% set r = m.reasoning_content or '' %}"
    "{% if '</think>' in c %}{% set r = c.split('</think>')[0].split('<think>')[-1].strip('\n') %}"
    "{% set c = c.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    "[{% if loop.last %}<think>\n{{ r }}\n</think>\n\n{% endif %}{{ c }}]{% endfor %}"
)


def test_thinking_is_followed_where_it_is_written_and_said_where_it_is_dropped() -> None:
    thought = "<think>\nhm\n</think>\n\nYes"
    row = Conversation([Message("assistant", thought), Message("assistant", thought)])
    found = JinjaTemplate(THINKS).render(row)
    assert found == f"[Yes][{thought}]"
    assert found.contents == ("Yes", thought)
    assert [(item.code, item.pointer) for item in found.lost] == [("T606", "/messages/0/content")]
    other = JinjaTemplate(THINKS).render(Conversation([Message("assistant", "<think>hm</think>Yes")]))
    assert (other, other.followed) == (f"[{thought}]", False)  # in other words: nobody's any more


def test_thinking_under_a_key_of_its_own_reaches_the_template(tmp_path: Path, shared: Path) -> None:
    where = folder(tmp_path, shared, THINKS)
    row = [{"role": "assistant", "content": "Yes", "reasoning_content": "hm", "weight": None}]
    found = phi3data.render(row, tokenizer=where)
    assert found == "[<think>\nhm\n</think>\n\nYes]"
    assert found.contents == ("hm", "Yes")
    dropping = JinjaTemplate("{{ messages[0].content }}")
    (tmp_path / "chat_template.jinja").write_text(dropping.source)
    assert [item.pointer for item in phi3data.render(row, tokenizer=where).lost] == ["/messages/0/reasoning_content"]
    assert phi3data.render(row).lost == ()


def test_a_tag_that_the_template_asks_for_does_not_hide_the_words() -> None:
    source = "{% for m in messages %}{{ 1 if m.content.startswith('<tool_response>') }}[{{ m.content }}]{% endfor %}"
    row = Conversation([Message("user", "<tool_response>\nx\n</tool_response>"), Message("user", "Hi")])
    found = JinjaTemplate(source).render(row)
    assert found.contents == ("<tool_response>\nx\n</tool_response>", "Hi")


def test_fields_that_vanish_are_said() -> None:
    call = [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]
    row = Conversation([Message("system", "s", tools="[]"), Message("assistant", "a", tool_calls=call)])
    plainly = "{% for m in messages %}[{{ m.content }}]{% endfor %}"
    assert [(item.code, item.pointer) for item in JinjaTemplate(plainly).render(row).lost] == [
        ("G906", "/messages/0/tools"),
        ("T606", "/messages/1/tool_calls"),
    ]
    calls = plainly.replace("]{%", "{{ m.tool_calls | tojson if m.tool_calls and loop.last }}]{%")
    twice = Conversation([Message("assistant", "a", tool_calls=call), Message("assistant", "a", tool_calls=call)])
    assert [item.pointer for item in JinjaTemplate(calls).render(twice).lost] == ["/messages/0/tool_calls"]


CALLING = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.tool_calls %}{{ m.content or '' }}{% if m.content %}\n{% endif %}"
    "{% for c in m.tool_calls %}<|tool_call|>{{ c | tojson }}<|/tool_call|>{% endfor %}{% else %}{{ m.content }}"
    "{% endif %}<|end|>{% endfor %}"
)


@pytest.mark.parametrize("content", [None, "", "Let me see.", "a <b>"])
def test_function_calls_belong_to_their_turn(content: str | None) -> None:
    calls: list[Any] = [{"name": "f", "arguments": "<b>"}, {"name": "g"}]
    row = Conversation([Message("user", "u"), Message("assistant", content, tool_calls=calls), Message("tool", "21")])
    found = JinjaTemplate(CALLING).render(row)
    turns: dict[int, str] = {}
    for number, index in enumerate(found.messages):  # the first control token after a content ends it
        literal = found.literals[number + 1]
        turns[index] = turns.get(index, "") + found.contents[number] + "".join(literal.partition("|>")[:2])
    said = f"{content}\n" if content else ""
    wanted = "".join(f"<|tool_call|>{json.dumps(call)}<|/tool_call|>" for call in calls)
    assert turns[1].replace("\n", "") == f"{said}{wanted}<|end|>".replace("\n", "")
    assert turns[0] == "u<|end|>"
    assert turns[2] == "21<|end|>"
    assert found.lost == ()


def test_function_calls_that_cannot_be_told_apart_are_said() -> None:
    calls: list[Any] = [{"name": "f", "arguments": "<|tool_call|>"}]
    row = Conversation([Message("user", "u"), Message("assistant", "a", tool_calls=calls)])
    found = JinjaTemplate(CALLING).render(row)
    assert [(item.code, item.pointer) for item in found.lost] == [("T606", "/messages/1/tool_calls")]
    assert found.contents == ("u", "a")


def test_a_key_without_a_value_is_no_key() -> None:
    row = Conversation([Message("assistant", None)])
    assert JinjaTemplate("{{ messages[0].content is defined }}{{ messages[0].content }}").render(row) == "False"


def test_parts_of_a_content_are_followed() -> None:
    source = "{% for m in messages %}{% for p in m.content %}[{{ p.text }}]{% endfor %}{% endfor %}"
    content: Any = [{"type": "text", "text": "Hi"}, {"type": "text", "text": "there"}]
    found = JinjaTemplate(source).render(Conversation([Message("user", content)]))
    assert (found, found.contents, found.messages) == ("[Hi][there]", ("Hi", "there"), (0, 0))
    number: Any = 5
    with pytest.raises(TemplateError, match="/messages/0/content: the chat template fails: content is int, no text"):
        JinjaTemplate(source).render(Conversation([Message("user", number)]))


def test_marks_for_generation_are_passed_through() -> None:
    source = "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
    assert JinjaTemplate(source).render(ROW) == "Be kind. Hi \nHello!"


def test_what_the_template_itself_refuses_is_a_finding() -> None:
    with pytest.raises(TemplateError, match="roles must alternate"):
        JinjaTemplate("{{ raise_exception('roles must alternate') }}").render(ROW)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ range(999999999) | list }}",
        "{{ 1 / 0 }}",
        "{{ 'a' * 99999999999999 }}",
    ],
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
    assert recognise(JinjaTemplate(almost, {"eos_token": "<|endoftext|>"}), family.TEMPLATES.values()) is None


MINI = (
    "{% for message in messages %}{% if message['role'] == 'system' %}"
    "{{ '<|system|>\n' + message['content'] + '<|end|>\n' }}{% elif message['role'] == 'user' %}"
    "{{ '<|user|>\n' + message['content'] + '<|end|>\n' }}{% elif message['role'] == 'assistant' %}"
    "{{ '<|assistant|>\n' + CONTENT + '<|end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
WORDS = "message['content']"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("CONTENT", f"({WORDS}.split('</think>')[-1] if not loop.last else {WORDS})"),
        ("CONTENT", f"({WORDS} or '')"),
        ("CONTENT", f"({WORDS} if {WORDS} is string else (message['tool_calls'] | tojson))"),
        ("CONTENT", f"(message['reasoning_content'] or '') + {WORDS}"),
        ("CONTENT", f"{WORDS} + ('' if message['weight'] is not defined else '!')"),
        ("CONTENT", f"{WORDS} + ((message['function_call'] | tojson) if message['function_call'] else '')"),
        ("CONTENT", f"{WORDS}.replace('\r\n', '\n')"),
        ("CONTENT", f"{WORDS}[:4000]"),
        ("CONTENT", f"{WORDS} | truncate(9999, true)"),
        ("== 'system'", "in ['system', 'developer']"),
        ("{% endif %}{% endfor %}", "{% elif message['role'] == 'function' %}f{% endif %}{% endfor %}"),
        ("{% endif %}{% endfor %}", "{% elif message['role'] == 'odd' %}odd{% endif %}{% endfor %}"),
        ("'<|user|>\n' +", "'<|user|>' + (message['name'] or '') + '\n' +"),
        ("in messages %}", "in messages[-10:] %}"),
        ("in messages %}", "in messages %}{% if loop.index0 > 99 %}x{% endif %}"),
        ("{% for", "{% if tools and messages[0]['role'] != 'system' %}{{ tools | tojson }}{% endif %}{% for"),
        ("{% for", "{% if messages | length > 66 %}{{ strftime_now('%Y') }}{% endif %}{% for"),
        ("{% for", "{% if enable_thinking %}x{% endif %}{% for"),
    ],
)  # fmt: skip
def test_a_template_that_was_edited_is_not_taken_for_the_familys(old: str, new: str) -> None:
    tokens = {"eos_token": "<|endoftext|>"}
    found = recognise(JinjaTemplate(MINI.replace("CONTENT", WORDS), tokens), family.TEMPLATES.values())
    assert found is not None
    assert found.name == "phi-3"
    edited = MINI.replace(old, new, 1).replace("CONTENT", WORDS)
    assert recognise(JinjaTemplate(edited, tokens), family.TEMPLATES.values()) is None


@pytest.mark.parametrize(
    "same",
    [
        MINI.replace("message['content']", "message.content").replace("message['role']", "message.role"),
        MINI.replace("{% for", "{%- for").replace("== 'system'", "in ['system']"),
        MINI.replace("{% for", "{# as published #}{% for"),
    ],
)
def test_another_spelling_of_a_template_is_the_same_template(same: str) -> None:
    own = JinjaTemplate(same.replace("CONTENT", "message.content"), {"eos_token": "<|endoftext|>"})
    found = recognise(own, family.TEMPLATES.values())
    assert found is not None
    assert found.name == "phi-3"


def test_an_edited_template_is_read_again(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = [{"role": "user", "content": "Hi"}]
    for name in ("one", "two"):
        (tmp_path / name / "made").mkdir(parents=True)
        folder(tmp_path / name / "made", shared, "x")
    for name, text in (("one", "first"), ("one", "edited"), ("two", "moved")):
        monkeypatch.chdir(tmp_path / name)
        Path("made/chat_template.jinja").write_text(text + "{{ messages[0].content }}")
        assert phi3data.render(row, tokenizer="made") == text + "Hi"
        assert phi3data.encode(row, tokenizer="made").ids == phi3data.encode(row, tokenizer=Path("made").resolve()).ids


@pytest.mark.parametrize("name", family.TEMPLATES)
def test_a_template_of_the_family_written_as_jinja2_is_recognised_as_itself(name: str) -> None:
    template = family.TEMPLATES[name]
    assert recognise(JinjaTemplate(to_jinja(template)), family.TEMPLATES.values()) is template
