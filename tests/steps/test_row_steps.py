"""The steps that look at one conversation: clean, missing, check."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.chat import Conversation, Message
from phi3data.rules import RULES
from phi3data.steps.check import CheckConfig, check
from phi3data.steps.clean import CleanConfig, clean
from phi3data.steps.dedup import identify
from phi3data.steps.missing import MissingConfig, missing
from phi3data.text.repair import is_empty

CLEANING = [
    CleanConfig(),
    CleanConfig(trailing_space="lines"),
    CleanConfig(trailing_space="keep"),
    CleanConfig(html=False, control=False),
]
LETTERS = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}


def talk(roles: str, *texts: str | None) -> Conversation:
    words = texts or tuple(f"text {n}" for n in range(len(roles)))
    return Conversation([Message(LETTERS[role], text) for role, text in zip(roles, words, strict=True)])


def shape(conversation: Conversation) -> str:
    return "".join(message.role[0] for message in conversation.messages)


@pytest.mark.parametrize(
    ("before", "after", "changed", "dropped"),
    [
        ("ua", "ua", [], None),
        ("suaua", "suaua", [], None),
        ("uau", "ua", ["R403"], None),
        ("uaut", "ua", ["R403"], None),
        ("uua", "ua", ["R405"], None),
        ("uaa", "ua", ["R405"], None),
        ("uuauu", "ua", ["R405", "R403"], None),
        ("u", "u", [], "R408"),
        ("a", "a", [], "R408"),
        ("su", "su", [], "R401"),
        ("sa", "sa", [], "R402"),
        ("usa", "usa", [], "R406"),
        ("ssua", "ssua", [], "R406"),
        ("aua", "aua", [], None),
        ("uatta", "uatta", [], None),
        ("", "", [], "R401"),
    ],
)
def test_orders_of_turns(before: str, after: str, changed: list[str], dropped: str | None) -> None:
    conversation = talk(before)
    result = check(conversation, CheckConfig())
    assert (shape(conversation), result.changed) == (after, changed)
    assert (result.dropped.code if result.dropped else None) == dropped


def test_merged_turns_keep_both_texts_and_system_messages_move_to_the_front() -> None:
    conversation = talk("uua", "one", "two", "three")
    check(conversation, CheckConfig())
    assert [message.content for message in conversation.messages] == ["one\n\ntwo", "three"]
    conversation = talk("usa", "q", "be kind", "a")
    assert check(conversation, CheckConfig(repair=("R406",))).changed == ["R406"]
    assert shape(conversation) == "sua"


def test_turns_of_other_weights_or_with_calls_are_not_merged() -> None:
    conversation = talk("uaa")
    conversation.messages[1].weight = 0
    result = check(conversation, CheckConfig())
    assert result.dropped
    assert result.dropped.code == "R405"
    conversation = talk("uaa", "q", None, "a")
    conversation.messages[1].tool_calls = [{"id": "1"}]
    assert check(conversation, CheckConfig()).dropped


def test_rows_of_weight_0_train_nothing_and_ignored_rules_are_not_applied() -> None:
    conversation = talk("ua")
    conversation.messages[1].weight = 0
    result = check(conversation, CheckConfig())
    assert result.dropped
    assert result.dropped.code == "R409"
    assert check(conversation, CheckConfig(ignore=("R409",))).dropped is None


@given(st.text(alphabet="suat", max_size=8))
def test_what_is_left_after_check_has_no_error(roles: str) -> None:
    conversation = talk(roles)
    result = check(conversation, CheckConfig(repair=("R403", "R405", "R406")))
    if result.dropped is None:
        assert all(RULES[found.code].severity != "error" for found in result.findings)
        assert "user" in {message.role for message in conversation.messages}
        assert conversation.messages[-1].role == "assistant"
        again = check(conversation, CheckConfig())
        assert again.changed == []


@pytest.mark.parametrize("text", [None, "", "  \n", "\u200b\ufeff"])
def test_a_message_without_text_meets_its_policy(text: str | None) -> None:
    for policy, roles, dropped in [("drop", "sua", True), ("remove", "ua", False), ("keep", "sua", False)]:
        conversation = talk("sua", text, "q", "a")
        result = missing(conversation, MissingConfig(system=policy))  # type: ignore[arg-type]
        assert (shape(conversation), result.dropped is not None) == (roles, dropped)
    conversation = talk("ua", "q", text)
    result = missing(conversation, MissingConfig(assistant="fill", fill_with={"assistant": "I do not know."}))
    assert conversation.messages[1].content == "I do not know."
    assert result.changed == ["C501"]
    assert missing(talk("ua", "q", text), MissingConfig(assistant="refuse")).refused


@pytest.mark.parametrize(
    ("text", "code"), [("nan", "C502"), (" N/A ", "C502"), ("-", "C502"), ("No", None), ("none", None)]
)
def test_null_like_texts(text: str, code: str | None) -> None:
    result = missing(talk("ua", "q", text), MissingConfig())
    assert (result.dropped.code if result.dropped else None) == code
    assert missing(talk("ua", "q", text), MissingConfig(null_like=())).dropped is None


def test_a_message_with_tool_calls_is_not_missing() -> None:
    conversation = talk("ua", "q", None)
    conversation.messages[1].tool_calls = [{"id": "1"}]
    assert missing(conversation, MissingConfig()).dropped is None


@pytest.mark.parametrize(
    ("question", "answer", "changed"),
    [
        ("How do I pay?", "<p>By card &amp; cash.</p>", ["C513"]),
        ("How do I write a paragraph in HTML?", "<p>By card &amp; cash.</p>", []),
        ("q", "a\r\nb", ["F106"]),
        ("q", "a\u200bb\x07", ["C505", "C506"]),
        ("q", "e\u0301", ["C516"]),
        ("q", "answer  \n", ["trailing-space"]),
        ("q", "def f():\n    return x < y and a & b", []),
    ],
)
def test_clean_says_what_it_changed(question: str, answer: str, changed: list[str]) -> None:
    conversation = talk("ua", question, answer)
    assert clean(conversation, CleanConfig()) == changed
    off: dict[str, Any] = dict.fromkeys(["html", "line_ends", "control", "invisible", "nfc"], False)
    untouched = talk("ua", question, answer)
    assert clean(untouched, CleanConfig(trailing_space="keep", **off)) == []
    assert untouched.messages[1].content == answer


@given(st.text(max_size=30), st.text(max_size=30))
def test_clean_is_idempotent_and_declares_every_change(question: str, answer: str) -> None:
    conversation = talk("ua", question, answer)
    changed = clean(conversation, CleanConfig())
    assert bool(changed) == ([message.content for message in conversation.messages] != [question, answer])
    assert clean(conversation, CleanConfig()) == []


def test_prompts_are_the_opening_and_greetings_do_not_make_one() -> None:
    def prompt(roles: str, *texts: str) -> int:
        return identify(talk(roles, *texts)).prompt

    long = "How do I reset my password on the website?"
    assert prompt("ua", long, "a") == prompt("sua", "be kind", long.upper(), "b")
    assert prompt("uaua", long, "a", "thanks", "b") == prompt("ua", long, "a")
    assert prompt("uaua", "Hi", "Hello, how can I help you today?", "pay", "x") != prompt(
        "uaua", "Hi", "Hello, how can I help you today?", "cancel", "x"
    )


@given(st.lists(st.text(alphabet="ab \n\t\r\x07\x7f<>&;p/é\u200b"), min_size=1, max_size=3), st.sampled_from(CLEANING))
def test_what_is_clean_at_a_glance_is_clean(texts: list[str], config: CleanConfig) -> None:
    """A message that is not ASCII beside it takes that glance away, and changes nothing of the other messages."""
    one, other = talk("uau"[: len(texts)], *texts), talk("uau"[: len(texts)] + "s", *texts, "é")
    assert clean(one, config) == clean(other, config)
    assert one.messages == other.messages[:-1]


@given(
    st.text(alphabet="N/Aa- \u200b\u3164\n一", max_size=4)
    | st.sampled_from(["undefined", " undefined\n", "undefined."])
)
def test_what_says_something_at_a_glance_is_not_missing(text: str) -> None:
    config = MissingConfig(null_like=("N/A", "-", "undefined"))
    found = missing(talk("u", text), config).dropped
    expected = "C501" if is_empty(text) else "C502" if text.strip() in config.null_like else None
    assert (found.code if found else None) == expected
