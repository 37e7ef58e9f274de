"""Step `dedup` on one conversation: what makes it equal to another one, and the texts that similarity is about."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.chat import Conversation, Message
from phi3data.steps.dedup import DedupConfig, Scope, identify, sides
from phi3data.text.normalise import normalise


def talk(*turns: str, **extra: Any) -> Conversation:
    """A conversation of alternating turns; a turn that starts with "sys:" is a system prompt."""
    messages: list[Message] = []
    role = "user"
    for turn in turns:
        if turn.startswith("sys:"):
            messages.append(Message("system", turn[4:]))
            continue
        messages.append(Message(role, turn))
        role = "assistant" if role == "user" else "user"
    return Conversation(messages, **extra)


def test_case_and_white_space_do_not_count_after_normalisation() -> None:
    one, other = identify(talk("Hello  there", "Hi.")), identify(talk("hello there", "hi."))
    assert one.exact != other.exact
    assert one.normalised == other.normalised


@pytest.mark.parametrize(
    "other",
    [
        talk("q", "b"),
        talk("sys:x", "q", "a"),
        talk("q", "a", tools=[{"name": "f"}]),
        talk("q a"),
        Conversation([Message("user", "q"), Message("assistant", "a", weight=0)]),
    ],
)
def test_what_else_counts(other: Conversation) -> None:
    assert identify(talk("q", "a")).normalised != identify(other).normalised


def test_the_label_counts_where_it_is_written_out() -> None:
    one, other = talk("q", "a", label="x"), talk("q", "a", label="y")
    assert identify(one).normalised == identify(other).normalised
    assert identify(one, with_label=True).normalised != identify(other, with_label=True).normalised
    assert identify(one, with_label=True).asked == identify(other, with_label=True).asked


turns = st.lists(st.text(max_size=4), min_size=2, max_size=8)


@given(turns, st.booleans())
def test_beginnings_of_a_conversation_are_its_openings(texts: list[str], with_label: bool) -> None:
    whole = identify(talk(*texts, label="x"), with_label=with_label)
    beginnings = [
        identify(talk(*texts[:count], label="x"), with_label=with_label).normalised[0]
        for count in range(2, len(texts), 2)
    ]
    assert whole.openings == beginnings
    assert whole.normalised[0] not in whole.openings
    assert (
        whole.openings[:-1] == identify(talk(*texts[:-2], label="x"), with_label=with_label).openings or len(texts) < 4
    )


def test_asked_is_all_before_the_last_answer() -> None:
    assert identify(talk("a", "b", "c", "d")).asked == identify(talk("A", "b ", "c", "other")).asked
    assert identify(talk("a", "b", "c", "d")).asked != identify(talk("a", "x", "c", "d")).asked
    assert identify(talk("sys:s", "a", "b")).asked != identify(talk("a", "b")).asked
    assert identify(talk("a")).asked is None
    assert identify(Conversation([Message("assistant", "a")])).asked is None


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("conversation", ("one three", "two four")),
        ("prompt", ("one three", "")),
        ("answer", ("", "two four")),
        ("last-turn", ("three", "four")),
    ],
)
def test_the_two_texts_of_a_scope(scope: Scope, expected: tuple[str, str]) -> None:
    conversation = talk("sys:not compared", "One", "two", " three", "FOUR")
    assert identify(conversation, scope=scope).sides == expected
    assert sides(conversation.messages, scope) == expected
    other = talk("sys:other", "one", "two", "x", "four") if scope == "answer" else talk("x", "y", "three", "four")
    equal = identify(other, scope=scope).normalised == identify(conversation, scope=scope).normalised
    assert equal == (scope in {"answer", "last-turn"})


@given(st.text(st.characters(max_codepoint=0x7F)) | st.text(alphabet=" \n\tA\x1f\x85\u3000é"))
def test_texts_are_normalised_as_everywhere(text: str) -> None:
    assert sides([Message("user", text)], "conversation") == (normalise(text), "")


def test_calls_are_answers_and_their_identifiers_do_not_count() -> None:
    def calling(identifier: str, city: str) -> list[Message]:
        call = {"id": identifier, "type": "function", "function": {"name": "weather", "arguments": city}}
        return [
            Message("user", "q"),
            Message("assistant", None, tool_calls=[call]),
            Message("tool", "rain", tool_call_id=identifier),
        ]

    assert sides(calling("1", "Rome"), "conversation") == sides(calling("2", "Rome"), "conversation")
    assert sides(calling("1", "Rome"), "conversation") != sides(calling("1", "Oslo"), "conversation")
    asked, answered = sides(calling("1", "Rome"), "conversation")
    assert (asked, "weather" in answered) == ("q rain", True)


DIGESTS = [
    (
        (5714289264837280444, 11408642377723844005),
        (11570048812874122438, 18121052644703937965),
        6732816659823920270,
        5187727176116999724,
        [1398072974376667747],
    ),
    (
        (14269966609832981842, 13566323024656445566),
        (15970055288564543784, 6191611427803287859),
        2196371286966847948,
        14075796378997600756,
        [7236822688669776018],
    ),
]


def test_digests_stay_what_they_are() -> None:
    """They decide which split a row is in: another digest would move the rows of every data set."""
    one = identify(talk("sys:Be kind.", "Hi  there", "Hello!", "Who are you?", "Nobody.", label="x"), with_label=True)
    calling = Message("assistant", None, tool_calls=[{"id": "1", "function": {"name": "f", "arguments": "{}"}}])
    other = identify(
        Conversation(
            [Message("user", "É 一"), calling, Message("tool", "2", tool_call_id="1")], tools=[{"b": 1, "a": 2}]
        )
    )
    assert (one.exact, one.normalised, one.prompt, one.asked, one.openings) == DIGESTS[0]
    assert (other.exact, other.normalised, other.prompt, other.asked, other.openings) == DIGESTS[1]
    assert identify(talk("Hi", "Hello!")).prompt == identify(talk("sys:x", "hi ", "Go on")).prompt
    named = Conversation([Message("user", "Hi", name="Ann"), Message("assistant", "Hello!")])
    assert identify(named).prompt == identify(talk("Hi", "Hello!")).prompt


def test_keep_names_a_policy_or_a_column() -> None:
    assert DedupConfig(keep="best:score").column == "score"
    assert DedupConfig().column is None
    with pytest.raises(msgspec.ValidationError, match=re.escape("best:.+")):
        msgspec.convert({"keep": "last"}, DedupConfig)
    with pytest.raises(msgspec.ValidationError, match=r"0\.7"):
        msgspec.convert({"threshold": 0.5}, DedupConfig)
