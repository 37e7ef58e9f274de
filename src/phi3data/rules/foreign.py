"""T603, T604 and T607: marks of chat templates that came into a text by accident."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data.rules import marks
from phi3data.rules.base import GOOD, Rule
from phi3data.rules.examine import Checker
from phi3data.rules.screen import EVERYBODY, Kernel, Mark
from phi3data.text import markers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3data.chat import Conversation
    from phi3data.findings import Finding

RULES = (
    Rule(
        "T603",
        "foreign-token",
        "warning",
        "control token of other models",
        "For this model it is text: it learns to write [INST] or <|im_start|>, which users then see.",
        GOOD.replace("Hi", "[INST] Hi [/INST]"),
        GOOD.replace("Hi", "Is [1] < [2], and a <| b |> c?"),
    ),
    Rule(
        "T604",
        "already-rendered",
        "error",
        "a whole chat template inside a message",
        "The template is applied twice: the model learns turns inside turns, and to write control tokens as text.",
        GOOD.replace("Hi", "<|im_start|>system\\nBe kind.<|im_end|>\\n<|im_start|>user\\nHi<|im_end|>"),
        GOOD.replace("Hi", "What comes after the user's turn?"),
    ),
    Rule(
        "T607",
        "image-token",
        "warning",
        "token of an image or a sound",
        "Without the picture it is text: the model learns to make up what it cannot see.",
        GOOD.replace("Hi", "<|image_1|>\\nWhat is this?"),
        GOOD.replace("Hi", '<svg><image href=\\"a.png\\"/></svg>'),
    ),
)

_FOREIGN = (marks.PIPE, marks.SYS, marks.SHORT_TAG, marks.SHORT_TAG_E, marks.TOKEN, Mark("wide", "<｜"))
_IMAGES = (marks.PIPE, marks.SHORT_TAG_E, marks.IMAGE_TAG, marks.IMAGE_WORD)

KERNELS = (
    Kernel("T603", markers.foreign, _FOREIGN, EVERYBODY, look=markers.look, hints=markers.FOREIGN),
    Kernel(
        "T604",
        markers.rendered,
        (marks.PIPE, marks.SHORT_TAG, marks.HEADING),
        EVERYBODY,
        look=markers.may_be_rendered,
        hints=markers.HEADERS,
    ),
    Kernel("T607", markers.images, _IMAGES, EVERYBODY, look=markers.may_be_image, hints=markers.IMAGES),
)
CHECKER = Checker(KERNELS)


def check(conversation: Conversation) -> Iterator[Finding]:
    """Yield foreign control tokens, rendered templates and image tokens: T603, T604, T607."""
    return CHECKER.check(conversation)
