"""C503 to C517 and R411: what fires, and what only looks like it."""

from __future__ import annotations

import pytest

from phi3data.chat import Conversation, Message
from phi3data.rules import texts

LOOP = "Please check the hose again. "
LONG = "First empty the tray. Then rinse the brewing group under warm water and let it "
GERMAN = "Wie oft muss ich die Maschine entkalken und was brauche ich für das Gerät?"
ENGLISH = "You have to do it once a month, and the tray is to be cleaned with water."


def found(question: str, answer: str, system: str | None = None) -> dict[str, str]:
    """Return messages by code; the side on which a rule fires is told by its pointer in front."""
    messages = [Message("user", question), Message("assistant", answer)]
    if system is not None:
        messages.insert(0, Message("system", system))
    return {each.code: f"{each.pointer}: {each.message}" for each in texts.check(Conversation(messages))}


FIRES = [
    ("C503", "Hi", "Danke, schÃ¶n.", "UTF-8 read as Windows-1252 (was 'ö'): 'Ã¶' at character 11"),
    ("C503", "Hi", "itâ\x80\x99s", "'â\\u0080\\u0099' at character 3"),
    ("C503", "Hi", "РџСЂРёРІРµС‚!", "UTF-8 read as Windows-1251 (was 'Привет')"),
    ("C503", "Hi", "да вЂ” нет", "UTF-8 read as Windows-1251 (was '—')"),
    ("C503", "Hi", "锟斤拷锟斤拷", "lost on the way through GBK"),
    ("C503", "Hi", "你好，世界".encode().decode("gbk", "ignore"), "UTF-8 read as GBK"),
    ("C504", "Hi", "Sch\ufffd\ufffdn", "2 characters were lost (U+FFFD) at character 4"),
    ("C505", "Hi", "a\x07b", "the control character U+0007 at character 2"),
    ("C505", "Hi", "\x1b[1mbold", "a terminal's escape code '\\u001b[1m' at character 1"),
    ("C506", "Hi", "re\u200bset", "zero width space (U+200B) at character 3"),
    ("C506", "a \u202eb\u202c c", "Hi", "right-to-left override (U+202E) at character 3, and 1 more"),
    ("C506", "Hi", "hidden\U000e0041\U000e0042", "2 invisible characters from U+E0041 on"),
    ("C507", "Hi", "  x = 1\n  y = 2", "the indentation of the first line '  ' is lost"),
    ("C507", "Hi", "\nHello", "leading white space '\\n' is lost"),
    ("C508", "Hi", "I am {name}.", "'{name}'"),
    ("C508", "Hi", "Call <INSERT PHONE NUMBER>.", "'<INSERT PHONE NUMBER>'"),
    ("C508", "Hi", "Best regards\n[Your Name]", "'[Your Name]' at character 14"),
    ("C508", "Hi", "Lorem ipsum dolor sit amet, consectetur.", "'Lorem ipsum dolor sit amet,'"),
    ("C508", "Hi", "祝好，\n[您的姓名]", "'[您的姓名]'"),
    ("C509", "How?", "So.\n\n## 18. Instruction:\nName three.", "a further instruction '## 18. Instruction:'"),
    ("C509", "How?", "So.\nHuman: And now?\nAI: So.", "a further turn 'Human:' at character 5"),
    ("C509", "User: Hi\nAssistant: Hello\nUser: How?\nAssistant:", "So.", "a whole chat in one message"),
    ("C510", "How?", LOOP * 12, "'Please check the hose again' 12 times over"),
    ("C510", "How?", "So. " + LOOP * 30 + "And so it goes on to the end, which is another one.", "30 times over"),
    ("C510", "How?", "no " * 100, "'no' 100 times over"),
    ("C511", "How?", LONG + "dr", "stops in the middle of a sentence"),
    ("C511", "How?", "1. Empty the tray.\n2. Look for a card in the letterbox, as the parcel m", "stops in the middle"),
    ("C511", "How?", "So:\n```python\nprint(1)\n", "a code block that is not closed: '```' at character 5"),
    ("C511", "怎么办？", "首先，请关闭机器的电源。然后将水箱取出，用温水仔细清洗，再用干净的布擦干，最后把水箱重新装回去并且确认它已经", "stops in the middle"),
    ("C512", "How?", "Next step.\\nThen the other.", "a line end spelled out '\\n'"),
    ("C513", "How?", "Rinse &amp; dry it.", "HTML '&amp;' at character 7"),
    ("C514", "How?", "I'm sorry, but I can't help with that.", "a refusal"),
    ("C514", "Wie?", "Als KI-Sprachmodell kann ich das nicht sagen.", "'Als KI-Sprachmodell'"),
    ("C514", "如何？", "作为一个人工智能助手，我没有身体。", "'作为一个人工智能助手'"),
    ("C514", "如何？", "抱歉，我无法回答。", "a refusal"),
    ("C514", "なぜ？", "申し訳ありませんが、お答えできません。", "a refusal"),
    ("C514", "Как?", "Като езиков модел нямам мнение.", "'Като езиков модел'"),
    ("C515", "What is in this picture?", "A cat.", "'What is in this picture'"),
    ("C515", "请看附图，这是什么？", "水垢。", "'请看附图'"),
    ("C515", "添付の写真をご覧ください。", "はい。", "'添付の写真'"),
    ("C515", "Siehe Foto, was ist das für ein Gerät?", "Die Dichtung.", "'Siehe Foto'"),
    ("C516", "Wie?", "Scho\u0308n", "U+006F U+0308 where NFC has U+00F6 at character 4"),
    ("C517", GERMAN, ENGLISH, "the question is in German, the answer in English"),
    ("C517", "Wo ist der Filter und was ist das?", ENGLISH, "the question is in German"),
    ("C517", "列出四张披头士专辑。", ENGLISH, "the question is in Chinese, the answer in English"),
    ("R411", f"Answer this:\n\n{GERMAN}", GERMAN, "the answer repeats the end of the question"),
    ("R411", f"{GERMAN} \n", GERMAN, "the answer repeats the whole question"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "question", "answer", "message"), FIRES)
def test_fires(code: str, question: str, answer: str, message: str) -> None:
    assert message in found(question, answer).get(code, "")


SILENT = [
    # letters, quotes and brackets of many languages; scripts that need their joiners
    ("Wie?", "„Ä“, „Ö“ und „Ü“ – MAÇÃO, São Paulo, AMANHÃ… Ångström™, Łódź, naïve «Ã», Рівне і Сіверськ."),
    ("Family?", "👨‍👩‍👧 👩🏽‍💻 🏳️‍🌈 ❤️ 1️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 می‌خواهم क्‍ष שלום \u200fabc สวัสดี\u200bครับ 한국어 日本語です。"),
    ("Where does a soft hyphen stand?", "It is '\u00ad', U+00AD."),
    ("你好吗？", "很好，谢谢！今天是2024年5月17日，星期五。\n\n1. 中文，标点。\n2. 全角（括号）：“引号”。"),
    ("مرحبا", "مرحبا بك، كيف يمكنني مساعدتك اليوم؟"),
    # formulas, sets and fields that are no placeholders
    ("Solve.", r"Let $\frac{number}{name}$ and \text{name}, so {x, y} and f_{name} = {1, 2, 3}."),
    ("How do I print it?", 'print(f"Hello {name}, today is {date}")'),
    ("In React?", "return <p>Hello {name}</p>;"),
    ("A Jinja template?", "Write {{ name }} where the name goes."),
    ("Call /users/{name}?", "GET /users/{name} returns one user, see [Date](https://example.com)."),
    ("Write a letter template.", "Dear [Recipient Name],\nYours\n[Your Name]"),
    ("Fill in: I am {{name}}.", "I am {{name}}."),
    # roles that are spoken of
    ("What is a prompt?", 'It has parts: "User: Hello" and "Assistant: Hi", then Question: and Answer:'),
    ("Write a dialogue.", "Sure.\nUser: Hi\nAssistant: Hello"),
    ("Show the log.", "```\nUser: root\nBot: none\n```"),
    ("Summarize:\nUser: Hi\nAssistant: Hello\nUser: Bye", "They greet each other."),
    ("Who leads?", "Name: Ada\nUser: ada\nRole: admin"),
    # what repeats itself for a reason
    ("Draw.", "-" * 400),
    ("Draw.", "| --- " * 100 + "|"),
    ("Count.", ", ".join(str(number) for number in range(300))),
    ("Zeros.", "0 " * 300),
    ("Sing!", "Row, row, row your boat\nGently down the stream.\nMerrily, merrily, merrily, merrily,\n" * 3 + "Ha ha ha ha ha!"),
    ("Say it 40 times.", LOOP * 40),
    ("Code?", "int main() {\n" + "    cout << endl;\n" * 30 + "}"),
    ("List?", "\n".join(f"- Step {number}: check the hose and the pump, then go on." for number in range(20))),
    # ends that are none
    ("Who?", "Ada Lovelace"),
    ("Title?", "How to Clean a Machine That Has Not Been Cleaned in a Very Long Time by Anyone"),
    ("List?", "- one thing that is long enough to be looked at\n- another thing that is long enough to be looked at"),
    ("Letter?", "Thank you for the long and friendly letter. With all my best wishes and kind regards, Yours truly, Ada"),
    ("Letter?", "We work for the betterment of all sentient beings. With respect and hope, Your ever faithful companion"),
    ("Poem?", "The sea is wide\nthe night is long\nand on the tide\nthere comes a song"),
    ("Code?", "```python\nprint(1)\n```"),
    ("Code?", "# First make the list. Then go over it.\nfor one in items:\n    total = total + one.weight\nreturn total"),
    ("中文？", "这是一个没有句号的短句"),
    # quotes and backslashes that are meant
    ("CSV?", 'a,"He said ""hi"" to me",c'),
    ("Empty?", 'x = "" + ""'),
    ("Doc?", '"""Return one."""'),
    ("Code?", 'print("a\\nb")'),
    ("LaTeX?", r"$\nabla \cdot E$ and \neg x, \nu. \newline"),
    ("Path?", r"It is in C:\new\Names."),
    ("Regex?", r"Use \n\d+ in a regular expression."),
    # markup that is meant
    ("How do I write bold in HTML?", "<b>Yes</b>"),
    ("Is 1 < 2 and 3 > 2?", "Yes: 1 < 2, R&D, a <- b, <https://example.com>."),
    # assistants that are spoken of, or played
    ("What is an AI language model?", "An AI language model continues texts."),
    ("Roleplay as an AI in space.", "I am an AI, and I see the stars."),
    ("Who are you?", "I am an AI assistant built by Kaldermoor."),
    ("Are you sorry?", "I'm sorry to hear that. I can help you with it."),
    # pictures that are spoken of
    ("How do I take a photo?", "Press the button."),
    ("Write a story about this picture: a cat.", "Once there was a cat."),
    ("See the attached photo: https://example.com/a.png", "A cat."),
    ("Write a program that sends an e-mail with the attached file.", "Sure."),
    # languages that are asked for, or are not plain
    ("Übersetze ins Englische: die Maschine ist für mich.", ENGLISH),
    ("将下列句子翻译成英文：这台机器是给我的。", ENGLISH),
    ("Wie heißt die Hauptstadt von Frankreich, bitte?", "Paris"),
    ("写一个函数，返回两个数的和。", "def add(a, b):\n    return a + b  # the sum of the two"),
    # answers that end as the question does
    ("Is it A or B? Answer with one of: A long option that is chosen, or B", "B"),
    ("Correct this: " + "\n" + ENGLISH, ENGLISH),
    ("Hello there", "Hello there"),
]  # fmt: skip


@pytest.mark.parametrize(("question", "answer"), SILENT)
def test_silent(question: str, answer: str) -> None:
    assert found(question, answer) == {}


def test_tool_results_are_data_and_hold_no_prose() -> None:
    row = Conversation(
        [Message("user", "Hi"), Message("tool", '{"name": "<b>{{name}}</b>"}\nUser: x\nAssistant:'), Message("assistant", "Yes.")]
    )  # fmt: skip
    assert list(texts.check(row)) == []


def test_an_invisible_message_is_empty_and_nothing_else() -> None:
    assert found("Hi", "\u200b\u2060") == {}


def test_mojibake_explains_its_control_characters() -> None:
    assert set(found("Hi", "itâ\x80\x99s \x93so\x94")) == {"C503", "C505"}
    assert set(found("Hi", "itâ\x80\x99s")) == {"C503"}


def test_findings_stand_in_the_order_of_messages() -> None:
    row = Conversation([Message("user", "\ufeffa\x07"), Message("assistant", "\ufeffb"), Message("user", "c\x07")])
    pointers = [each.pointer for each in texts.check(row)]
    assert pointers == sorted(pointers)
    assert len(pointers) == 4
