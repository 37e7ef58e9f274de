"""Rendering, against transformers with each model's own template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.utils.chat_template_utils import render_jinja_template

import phi3data
from phi3data import family
from phi3data.family.jinja import JinjaTemplate, recognise

_MINI = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' SKIP %}{{ '<|system|>\n' + message['content'] + '<|end|>\n' }}"
    "{% elif message['role'] == 'user' %}{{ '<|user|>\n' + message['content'] + '<|end|>\n' }}"
    "{% elif message['role'] == 'assistant' %}{{ '<|assistant|>\n' + message['content'] + '<|end|>\n' }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
_FIRST = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ '<|user|>\n' + message['content'] + '<|end|>\n<|assistant|>\n' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + '<|end|>\n' }}{% endif %}{% endfor %}"
)
_PROMPT_OR_END = "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}"
_TOOLS = "{{ '<|tool|>' + message['tools'] + '<|/tool|>' }}"
_ECHO = "'<|' + message['role'] + '|>' + message['content']"

# What the models' own templates do, in jinja2; ORIGINALS below hold these to the files themselves where they are there.
JINJA = {
    "phi-3": _MINI.replace(" SKIP", ""),
    "phi-3-first": "{{ bos_token }}" + _FIRST,
    "phi-3-medium": _FIRST,
    "phi-3-small": (
        "{{ bos_token }}{% for message in messages %}"
        "{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
    ),
    "phi-3.5": _MINI.replace(" SKIP", " and message['content']"),
    "phi-4": (
        "{% for message in messages %}{% if message['role'] in ['system', 'user', 'assistant'] %}"
        "{{ '<|im_start|>' + message['role'] + '<|im_sep|>' + message['content'] + '<|im_end|>' }}"
        "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}"
    ),
    "phi-4-mini": (
        "{% for message in messages %}"
        "{% if message['role'] == 'system' and 'tools' in message and message['tools'] is not none %}"
        "{{ " + _ECHO + " }}" + _TOOLS + "{{ '<|end|>' }}"
        "{% else %}{{ " + _ECHO + " + '<|end|>' }}{% endif %}{% endfor %}" + _PROMPT_OR_END
    ),
    "phi-4-mini-reasoning": (
        "{{ '<|system|>Your name is Phi, an AI math expert developed by Microsoft.' }}"
        "{% for message in messages %}{% if message['role'] == 'system' %} {{ message['content'] }}"
        "{% if 'tools' in message and message['tools'] is not none %}" + _TOOLS + "{% endif %}{% endif %}{% endfor %}"
        "{{ '<|end|>' }}{% for message in messages %}{% if message['role'] != 'system' %}"
        "{{ " + _ECHO + " + '<|end|>' }}{% endif %}{% endfor %}" + _PROMPT_OR_END
    ),
}
ORIGINALS = {"phi-3": "phi-3-mini", "phi-3-medium": "phi-3-medium", "phi-4-mini": "phi-4-mini-config-only"}


def tokens_of(name: str) -> dict[str, str]:
    return {"bos_token": "<s>" if name == "phi-3-first" else "<|endoftext|>", "eos_token": "<|endoftext|>"}


def oracle(source: str, messages: list[dict[str, Any]], name: str, *, prompt: bool, tools: Any = None) -> str:
    """Render with transformers."""
    options: dict[str, Any] = tokens_of(name)
    rendered = render_jinja_template([messages], tools, chat_template=source, add_generation_prompt=prompt, **options)
    return str(rendered[0][0])


def test_every_template_of_the_table_is_tested() -> None:
    assert set(JINJA) == set(family.TEMPLATES)


@pytest.mark.parametrize("name", sorted(ORIGINALS))
def test_the_jinja_of_these_tests_does_what_the_models_own_file_does(name: str, shared: Path) -> None:
    config = json.loads((shared / "tokenizers" / ORIGINALS[name] / "tokenizer_config.json").read_text())
    for source in (config["chat_template"], JINJA[name]):
        known = recognise(JinjaTemplate(source, tokens_of(name)), family.TEMPLATES.values())
        assert known is not None
        assert known.name == name


text = st.one_of(
    st.sampled_from(
        ["", " ", "\n", "\n\n x", "  indented\n\tcode ", "<|end|>", "{{ x }}{% if %}", "\r\n", "\u2028\x00"]
    ),
    st.text(max_size=20),
)
role = st.sampled_from(["system", "user", "assistant", "user", "assistant", "tool", "User", "human", "", "narrator"])
message = st.fixed_dictionaries(
    {"role": role, "content": text}, optional={"tools": st.sampled_from(["[]", '[{"name": "f"}]', ""])}
)


@pytest.mark.parametrize("name", sorted(JINJA))
@given(messages=st.lists(message, max_size=6), prompt=st.booleans())
def test_rendering_equals_transformers(name: str, messages: list[dict[str, Any]], prompt: bool) -> None:
    model = next(model.name for model in family.MODELS.values() if name == model.template.name or name == "phi-3-first")
    expected = oracle(JINJA[name], messages, name, prompt=prompt)
    conversation = phi3data.Conversation([phi3data.Message(**each) for each in messages])
    known = family.TEMPLATES[name].render(conversation, add_generation_prompt=prompt)
    assert known == expected
    own = JinjaTemplate(JINJA[name], tokens_of(name)).render(conversation, add_generation_prompt=prompt)
    assert own == expected
    if name != "phi-3-first":
        assert phi3data.render(messages, model, add_generation_prompt=prompt) == expected
    # The alternation is the text, and both ways of finding people's words find the same ones.
    for found in (known, own):
        parts = [part for pair in zip(found.literals, (*found.contents, ""), strict=True) for part in pair]
        assert "".join(parts) == expected
        assert len(found.contents) == len(found.messages)
    words = dict(zip(own.messages, own.contents, strict=True))
    for index, content in zip(known.messages, known.contents, strict=True):
        if content.strip() and content == messages[index]["content"]:
            assert words[index] == content


@pytest.mark.parametrize("name", sorted(JINJA))
def test_each_template_is_told_apart_from_all_others(name: str) -> None:
    found = recognise(JinjaTemplate(JINJA[name], tokens_of(name)), family.TEMPLATES.values())
    assert found is not None
    assert found.name == name


def lost(messages: Any, model: str, **options: Any) -> list[tuple[str, str]]:
    return [(item.code, item.pointer) for item in phi3data.render(messages, model, **options).lost]


S, U, A = ({"role": role, "content": role[0]} for role in ("system", "user", "assistant"))


def test_what_a_template_drops_is_said() -> None:
    assert lost([S, U, A], "phi-3-mini") == []
    assert lost([S, U, A], "phi-3-medium") == [("R407", "/messages/0/role")]
    tool = {"role": "tool", "content": "21 °C"}
    assert lost([U, A, tool, A], "phi-3-mini") == [("R407", "/messages/2/role")]
    assert lost([U, A, tool, A], "phi-4-mini") == []
    assert lost([U, A], "phi-3-mini", tools=[{"type": "function"}]) == [("G906", "/tools")]
    assert lost([U, A], "phi-4-mini", tools=[{"type": "function"}]) == [("G907", "/tools")]
    assert lost([{**S, "tools": "[]"}, U, A], "phi-4-mini") == []
    assert lost([{**S, "tools": "[]"}, U, A], "phi-3-mini") == [("G906", "/messages/0/tools")]
    assert lost([U, {**A, "tool_calls": [{}]}], "phi-4-mini") == [("T606", "/messages/1/tool_calls")]


def test_a_turn_that_loses_its_header_is_said() -> None:
    assert lost([A, U, A], "phi-3-medium") == [("R407", "/messages/0/role")]
    assert lost([U, A, A], "phi-3-medium") == [("R407", "/messages/2/role")]


@pytest.mark.parametrize("content", [None, 3, ["a"]])
def test_a_content_that_is_no_text_names_its_place(content: Any) -> None:
    for model in ("phi-3-mini", "phi-4"):
        with pytest.raises(phi3data.InputError, match=r"/messages/1/content: the chat template fails: content is"):
            phi3data.render([U, {"role": "assistant", "content": content}], model)


def test_bad_calls_are_one_sentence() -> None:
    with pytest.raises(phi3data.UsageError, match="did you mean 'phi-3-mini'"):
        phi3data.render([U, A], "phi-3-minni")
    with pytest.raises(phi3data.UsageError, match="messages is text"):
        phi3data.render("Hi")  # type: ignore[arg-type]
    with pytest.raises(phi3data.InputError, match="/messages/0/role: the message has no role"):
        phi3data.render([{"content": "Hi"}])
    with pytest.raises(phi3data.InputError, match="/messages/0: expected a message object, found str"):
        phi3data.render(["Hi"])  # type: ignore[list-item]
    bad: Any
    for bad, sentence in (
        (None, "messages is null: give a list"),
        (5, "messages is int: give a list"),
        ({"messages": None}, "/messages: expected a list of messages, found null"),
        ({"messages": {"messages": [U]}}, "/messages: expected a list of messages, found dict"),
        ({"messages": [U], "tools": "[{"}, "/tools: the text is no JSON"),
        ({"messages": [U], "tools": 3}, "/tools: expected a list, found int"),
        ([{**U, "tool_calls": "{}"}], "/messages/0/tool_calls: expected a list, found dict"),
    ):
        with pytest.raises(phi3data.Phi3kitError, match=sentence):
            phi3data.render(bad)
    for bad in (None, 5):
        with pytest.raises(phi3data.UsageError, match="expected the name of a model"):
            phi3data.render([U, A], bad)
    with pytest.raises(phi3data.UsageError, match="expected a directory or a name"):
        phi3data.render([U, A], tokenizer=5)  # type: ignore[arg-type]


def test_rows_of_tables_are_rows() -> None:
    pd = pytest.importorskip("pandas")
    np = pytest.importorskip("numpy")
    call = {"function": {"name": "f"}}
    frame = pd.DataFrame([{"messages": [U, A]}, {"messages": [U, A], "tools": '[{"type": "function"}]'}])
    expected = phi3data.render([U, A])
    assert phi3data.render(frame.iloc[0]) == expected
    assert lost(frame.iloc[1], "phi-3-mini") == [("G906", "/tools")]
    assert phi3data.render(frame.iloc[0].messages) == expected
    assert phi3data.render({"messages": np.array([U, A], dtype=object), "tools": None}) == expected
    calls = [U, {**A, "tool_calls": json.dumps([call])}]
    assert lost(calls, "phi-3-mini") == [("T606", "/messages/1/tool_calls")]
    assert lost([U, {**A, "tool_calls": np.array([call], dtype=object)}], "phi-3-mini") == lost(calls, "phi-3-mini")


def test_a_row_a_conversation_and_messages_are_the_same() -> None:
    expected = "<|user|>\nu<|end|>\n<|assistant|>\na<|end|>\n<|endoftext|>"
    turns = [phi3data.Message("user", "u"), phi3data.Message("assistant", "a")]
    for given_ in ([U, A], {"messages": [U, A]}, phi3data.Conversation(turns), turns):
        assert phi3data.render(given_) == expected
