"""Marks of chat templates inside a text: another model's control tokens, a whole rendered template, image tokens."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3data.text.lazy import Lazy
from phi3data.text.spot import Spot

if TYPE_CHECKING:
    from collections.abc import Iterator

# Llama 2 and 3, ChatML (Qwen, Phi-4), Gemma, Mistral, GLM, DeepSeek, Zephyr, Cohere, Yi, Falcon, StarCoder, GPT-2.
_FOREIGN = Lazy(
    r"\[/?INST\]|<</?SYS>>|\[(?:AVAILABLE_TOOLS|/AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|gMASK|SYSTEM_PROMPT)\]"
    r"|<(?:start_of_turn|end_of_turn|bos|eos|sop|eop|pad)>"
    r"|<\|(?:im_start|im_end|im_sep|eot_id|eom_id|begin_of_text|end_of_text|start_header_id|end_header_id"
    r"|finetune_right_pad_id|"
    r"python_tag|endofturn|startoftext|eot|bos|eos|pad|endofprompt|fim_(?:prefix|middle|suffix)|observation|prompter|"
    r"START_OF_TURN_TOKEN|END_OF_TURN_TOKEN|USER_TOKEN|CHATBOT_TOKEN|SYSTEM_TOKEN|start_of_role|end_of_role"
    r"|message|channel|return)\|>"
    r"|<｜[^｜<>\n]{1,40}｜>|<\|(?:User|Assistant)\|>"
)
# Code has many tags and brackets; a look for these takes a tenth of what the patterns take.
_HINTS = ("<|", "INST]", "SYS>>", "_of_turn>", "os>", "op>", "<pad>", "<｜", "TOOL", "gMASK", "_PROMPT")
#: Pieces, as `rules.hints` reads them, of which each control token of other models has one,
FOREIGN = (
    *("<\\|[A-Za-z]", "INST\\]", "SYS>>", "_of_turn>", "<[be]os>", "<[se]op>", "<pad>", "<｜", "_TOOLS\\]"),
    *("TOOL_CALLS\\]", "TOOL_RESULTS\\]", "gMASK\\]", "_PROMPT\\]"),
)
#: each header of a turn,
HEADERS = ("<\\|[suai]", "<start_of_turn>", "### I", "### Response:")
#: and each token that stands for an image or a sound.
IMAGES = ("<\\|[iva]", "<image[_>]", "<ImageHere>", "<IMG_CONTEXT>")
_TURN = Lazy(
    r"<\|(?P<phi>system|user|assistant)\|>|<\|im_start\|>\s?(?P<chatml>system|user|assistant)\b"
    r"|<\|start_header_id\|>(?P<llama3>system|user|assistant)<\|end_header_id\|>|<start_of_turn>(?P<gemma>user"
    r"|model)\b"
    r"|^### (?P<alpaca>Instruction|Input|Response):",
    re.MULTILINE,
)
_ALPACA = Lazy(r"Below is an instruction that describes a task")
_IMAGE = Lazy(
    r"<\|image(?:_\d{1,3}|_pad|_start|_end)?\|>|<image(?:_\d{1,3})?>(?![^<]{0,400}</image>)|<ImageHere>"
    r"|<\|(?:vision_start|vision_pad|video_pad|audio_\d{1,3}|audio)\|>|<IMG_CONTEXT>"
)
_PICTURE_CODE = Lazy(r"</image>|<svg\b|<\?xml|<rss\b|<image\s", re.IGNORECASE)


def look(text: str) -> bool:
    """A first look: tell whether there is a piece of another model's control token."""
    return any([hint in text for hint in _HINTS])  # noqa: C419 - a third of what a generator takes


def may_be_rendered(text: str) -> bool:
    """A first look: tell whether there is a piece of the header of a turn."""
    return "<|" in text or "### " in text or "<start_of_turn>" in text


def may_be_image(text: str) -> bool:
    """A first look: tell whether there is a piece of a token that stands for an image or a sound."""
    return "<|" in text or "<image" in text or "<Image" in text or "<IMG" in text


def foreign(text: str) -> Iterator[Spot]:
    """Yield control tokens of other models; none where a whole template stands, which says it all."""
    found = list(_FOREIGN.finditer(text)) if look(text) else []
    if found and next(rendered(text), None) is None:
        for match in found:
            yield Spot(match.start(), match.end(), "a control token of other models,")


def rendered(text: str) -> Iterator[Spot]:
    """Yield a rendered chat template: the headers of two different roles."""
    if not may_be_rendered(text):
        return
    turns = list(_TURN.finditer(text))
    roles = {(turn.lastgroup, turn[turn.lastgroup or 0]) for turn in turns}
    for turn in turns:
        kind = turn.lastgroup
        others = [role for name, role in roles if name == kind]
        if len(others) < 2 or (
            kind == "alpaca" and not _ALPACA.search(text, 0, turn.start()) and "Response" not in others
        ):
            continue
        yield Spot(turn.start(), turn.end(), "a rendered chat template, from")
        return


def images(text: str) -> Iterator[Spot]:
    """Yield tokens that stand for an image or a sound; not the elements of SVG and RSS."""
    found = list(_IMAGE.finditer(text)) if may_be_image(text) else []
    if found and not _PICTURE_CODE.search(text):
        for match in found:
            yield Spot(match.start(), match.end(), "the token of an image or a sound")
