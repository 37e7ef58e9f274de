"""The screen never hides a finding: what a kernel finds in a text, the marks of the kernel show in it."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phi3data.chat import Conversation, Message
from phi3data.rules import content, foreign, privacy, texts
from phi3data.rules.examine import Checker
from phi3data.rules.screen import Kernel, Pair
from phi3data.text.skeleton import START, dense, has_digits, is_dense, joined, skeleton

ROLES = ("user", "assistant", "system", "tool")
DECODE = msgspec.json.Decoder(Conversation).decode
KERNELS = texts.CHECKER.kernels
SCREEN = texts.CHECKER.screen
RULES = [rule for family in (content, privacy, foreign) for rule in family.RULES if rule.fires and rule.silent]

# Pieces that some kernel finds fault with, most of them in several spellings, and what may stand around them.
PIECES = (
    "Ã¼", "donâ€™t", "вЂ”", "РџСЂРёРІРµС‚", "锟斤拷", "锛屼笘", "â\x80\x99", "\ufffd", "\x07", "\x1b[1m", "\x1e", "\x85", "\x9f",
    "\u200b", "\ufeff", "\u202e", "\u00ad", "\u034f", "\u115f", "\u17b4", "\u3164", "\ufe0f\ufe0f", "\U000e0041", "\U000e0100\U000e0101",
    "{{name}}", "{{ Ihr Name }}", "{{имя}}", "{name}", "{first name}", "<your name>", "<INSERT DATE>", "<enter_date>", "[Your Name]",
    "[your company]", "[Date]", "[您的姓名]", "[Вашето име]", "Lorem ipsum dolor sit amet,", "\nUser: x\nAssistant: y",
    "\nHuman: x\nAI: y", "\nBenutzer: x\nBot: y", "\nUser: x\nChatGPT: y", "\nNutzer: x\nAssistent: y", "\n用户：x\n助手：y", "\nUser：x\nGPT：y",
    "\nПотребител: x\nАсистент: y", "\n## 18. Instruction: x", "\n### Instruction:\nx\n### Response:\ny", "```", "\n```\n",
    '""Care""', ' ""Care about it"" ', ".\\nNext", "\\n\\n- one", ":\\n1. x", "<p>x</p>", "<br>", "&amp;", "&#39;", "&eacute;", "<h1>T</h1>",
    '<a href="x">y</a>', "As an AI language model,", "I'm sorry, but I can't", "I cannot help", "Sorry, I can't", "I’m sorry, I can’t",
    "Es tut mir leid, aber ich kann das nicht", "Als KI-Sprachmodell ", "Als künstliche Intelligenz ", "作为一个人工智能助手，", "抱歉，我无法",
    "申し訳ありませんが、できません", "Съжалявам, но не мога", "Като езиков модел ", "AIアシスタントとして、", "a large language model",
    "see the attached photo", "What is in this picture?", "Describe this image.", "如图所示", "见附件", "添付の写真", "прикачена снимка",
    "Siehe Foto ü", "this screenshot above", "o\u0308", "が", "é", "nadia.k84@gmail.com", "+44 20 7123 4567", "tel. 0721 123456", "(202) 456-1111",
    "call me at 202-456-1111", "电话：13812345678", "8.134.250.17", "4111 1111 1111 1111", "4111-1111-1111-1111", "378282246310005",
    "DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "536-90-4399", "11010519491231002X", "ЕГН 7523169263", "IdNr 86 095 742 719",
    "NHS 943 476 5919", "AKIA" + "IOSFODNN7EXAMPLE", "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6", "sk-" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF",
    "xoxb-" + "123456789012-ABCDEFGHIJ12", "AccountKey=" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6kL9nO2qR==", "https://u:Tr0ub4dor@host",
    'api_key = "' + 'A1B2C3D4E5F6G7H8I9J0K1L2"', "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "-----BEGIN RSA " + "PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEA", "[INST]", "[/INST]", "<<SYS>>", "<|im_start|>user",
    "<|im_end|>", "<|eot_id|>", "<start_of_turn>user", "<bos>", "<eos>", "[gMASK]", "<｜begin▁of▁sentence｜>", "[TOOL_CALLS]",
    "<|user|>\nx<|end|>\n<|assistant|>", "<|im_start|>system\nx<|im_end|>\n<|im_start|>assistant", "<|image_1|>", "<image>", "<image_1>", "<ImageHere>",
    "<IMG_CONTEXT>", '<p class="x">y', "<H1>T</H1>", "<br\n/>", '<td id=5>', "<li\x0bclass='a b'>x", "<your 5 favourite things>", "<|pad|>", "<sop>",
    "<pad>", "[/AVAILABLE_TOOLS]", "[SYSTEM_PROMPT]", "[TOOL_RESULTS]", "{{ user.first_name }}", "{{2 names}}", "[insert your 5 best ideas here]",
    "<|audio_1|>", "Please check the hose again. " * 12, "ha ha ha " * 40,
    "The tray is full. Then rinse the group under warm water and let it", "Das ist die Maschine. Dann spülen Sie die Gruppe unter warmem Wasser lä",
)  # fmt: skip
GLUE = (
    "",
    " ",
    "\n",
    ". ",
    "x",
    "a 5 b 20 c ",
    "e",
    "ü",
    "漢字",
    "(",
    '"',
    "'",
    "-",
    "I ",
    "42",
    "The end. ",
    "/",
    "=",
    "[",
    "<",
    "{",
    "😀",
    "\t",
)
texts_of = st.lists(st.one_of(st.sampled_from(PIECES), st.sampled_from(GLUE), st.text(max_size=6)), max_size=6).map(
    "".join
)


def finds(kernel: Kernel, text: str) -> bool:
    """Whether a kernel finds something, its first look left out: that must not hide anything either."""
    found = kernel.find(text) if kernel.alone else kernel.find(text, "")
    return next(iter(found), None) is not None


def marked(kernels: int, number: int) -> bool:
    return bool(kernels >> number & 1)


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("before", ["", "And so: ", "Ü. "])
@pytest.mark.parametrize("after", ["", ".", "\nThe end."])
def test_each_piece_shows_its_marks(piece: str, before: str, after: str) -> None:
    text = before + piece + after
    found = [number for number, kernel in enumerate(KERNELS) if finds(kernel, text)]
    for role in ROLES:
        masks, _ = SCREEN.suspects([text], [role])
        missed = [n for n in found if role in KERNELS[n].roles and not marked(masks.get(0, 0), n)]
        assert [KERNELS[n].code for n in missed] == []


def test_every_kernel_finds_something_in_the_pieces() -> None:
    """Without this the property above would hold for a kernel that finds nothing."""
    variants = [before + piece for piece in PIECES for before in ("", "x ", " ", "User: Hi\nAssistant:")]
    variants.append("User: Hi\nAssistant:")
    silent = {
        (kernel.code, kernel.find.__qualname__)
        for kernel in KERNELS
        if not any(finds(kernel, text) for text in variants)
    }
    assert silent == set()


@settings(max_examples=700)
@given(st.lists(texts_of, min_size=1, max_size=4))
def test_the_screen_hides_no_finding(many: list[str]) -> None:
    found = [[number for number, kernel in enumerate(KERNELS) if finds(kernel, text)] for text in many]
    for first in range(len(ROLES)):
        roles = [ROLES[(first + at) % len(ROLES)] for at in range(len(many))]
        masks, wide = SCREEN.suspects(many, roles)
        for at, text in enumerate(many):
            for number in found[at]:
                if roles[at] in KERNELS[number].roles:
                    assert marked(masks.get(at, 0), number), (KERNELS[number].code, roles[at], text)
            assert text.isascii() == (at not in wide)


class _Everything(Checker):
    """Meets every text with every kernel, and every answer with its question: no screen, and no first look."""

    def suspects(self, turns):  # type: ignore[no-untyped-def]
        everything = {
            turns.place(number): (message.content, self._kernels_of(-1, message.role))
            for number, message in enumerate(turns.messages)
            if message.content
        }
        return everything, set(range(len(turns.rows)))


turn = st.builds(Message, st.sampled_from(["system", "user", "assistant", "tool"]), st.one_of(st.none(), texts_of))
chat = st.builds(Conversation, st.lists(turn, max_size=4))


@settings(max_examples=250)
@given(st.lists(chat, max_size=5))
def test_many_at_once_one_by_one_and_without_a_screen_are_the_same(rows: list[Conversation]) -> None:
    at_once = list(texts.check_many(rows))
    assert at_once == [(number, found) for number, row in enumerate(rows) for found in texts.check(row)]
    assert at_once == list(_Everything(KERNELS, content.PAIRS).check_many(rows))


@given(st.text(), st.text(), st.text())
def test_the_skeleton_of_a_piece_is_a_piece_of_the_skeleton(before: str, piece: str, after: str) -> None:
    bones = skeleton(piece)
    assert bones in skeleton(before + piece + after)
    if has_digits(piece):
        assert b"0" * 7 in skeleton(before + piece + after)
    if is_dense(piece):
        assert b"0" * 8 in dense(skeleton(before + piece + after))


def test_a_skeleton_is_readable() -> None:
    assert skeleton('Call (202) 456-1111, <b>Anna</b>: "{{name}}"!') == b'C0000000000,<>A</>:"{{e}}"!'
    assert joined(["a", "b"]) == f"{START}a{START}b"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_the_examples_of_a_rule_fire_and_stay_silent(rule) -> None:  # type: ignore[no-untyped-def]
    for line in (rule.fires, rule.silent):
        json.loads(line)
    assert rule.fires
    assert rule.silent
    if rule.code not in {"C501", "C502"}:  # found by steps.missing
        assert rule.code in {found.code for found in texts.check(DECODE(rule.fires))}
    assert list(texts.check(DECODE(rule.silent))) == []


def test_families_find_their_own_codes_only() -> None:
    row = Conversation(
        [Message("user", "[INST] mail nadia.k84@gmail.com"), Message("assistant", "I am {{name}} \x07 and it's fine.")]
    )
    assert [found.code for found in texts.check(row)] == ["T603", "P001", "C505", "C508"]
    assert [found.code for found in content.check(row)] == ["C505", "C508"]
    assert [found.code for found in privacy.check(row)] == ["P001"]
    assert [found.code for found in foreign.check(row)] == ["T603"]
    assert [found.code for found in texts.checker(frozenset({"P001"})).check(row)] == ["P001"]


def test_one_finding_a_rule_and_message_says_how_many_more() -> None:
    (found,) = texts.check(Conversation([Message("user", "Hi"), Message("assistant", "I am {{name}} by {{author}}.")]))
    assert found.message == "the placeholder '{{name}}' at character 6, and 1 more"
    assert found.pointer == "/messages/1/content"


def test_pairs_of_the_marks_of_a_question_are_compared() -> None:
    pair = Pair("X", lambda question, answer: question + answer, content.PAIRS[0].marks)
    checker = Checker((), (pair,))
    row = Conversation([Message("user", "Wo ist der Filter?"), Message("assistant", "Here.")])
    assert [found.message for found in checker.check(row)] == ["Wo ist der Filter?Here."]
    assert not list(checker.check(Conversation([Message("user", "Where?"), Message("assistant", "Here.")])))
