"""Golden masks: what each chat template of the family writes, and which tokens of it are learned (+)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from phi3data import family
from phi3data.chat import Conversation, Message
from phi3data.tokens.encode import encoder
from phi3train import models
from phi3train.data.rows import IGNORED, Placed, Row, RowMaker
from tests.tokens.tiny import write_tiny
from tests.train.tiny import config, write_model

if TYPE_CHECKING:
    from pathlib import Path

TURNS = [
    ("system", "Be kind"),
    ("user", "Hi"),
    ("assistant", "Hello"),
    ("user", "say bye"),
    ("assistant", "Bye"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose tokenizer has the control tokens of all templates."""
    made = write_tiny(tmp_path_factory.mktemp("masks"), "llama")
    table = json.loads((made / "tokenizer.json").read_text("utf-8"))
    last = table["added_tokens"][-1]
    for name in ("<|im_start|>", "<|im_sep|>", "<|im_end|>"):
        table["added_tokens"].append({**last, "id": table["added_tokens"][-1]["id"] + 1, "content": name})
    (made / "tokenizer.json").write_text(json.dumps(table), "utf-8")
    return write_model(made.with_name("model"), weights=False, tokenizer=made)


CHAT = "<|user|> ▁Hi <|end|> <|assistant|> +▁Hello +<|end|> <|user|> ▁say ▁bye <|end|> <|assistant|> +▁Bye +<|end|>"
WHOLE = f"<|system|> ▁Be ▁kind <|end|> {CHAT} +<|endoftext|>"
IM = (
    "<|im_start|> ▁s y s t e <0x6D> <|im_sep|> ▁Be ▁kind <|im_end|> <|im_start|> ▁user <|im_sep|> ▁Hi <|im_end|> "
    "<|im_start|> ▁assistant <|im_sep|> +▁Hello +<|im_end|> <|im_start|> ▁user <|im_sep|> ▁say ▁bye <|im_end|> "
    "<|im_start|> ▁assistant <|im_sep|> +▁Bye +<|im_end|>"
)
EXPERT = (  # "Your name is Phi, an AI math expert developed by Microsoft." in a vocabulary that has few of these words
    "▁ <0x59> o u r ▁n a <0x6D> e ▁ i s ▁ <0x50> h i <0x2C> ▁a n ▁ <0x41> <0x49> ▁ <0x6D> a t h ▁ e <0x78> <0x70> e r "
    "t ▁ d e <0x76> e l o <0x70> e d ▁by ▁ <0x4D> i <0x63> r o s o <0x66> t ."
)


@pytest.mark.parametrize(
    ("name", "template", "expected"),
    [
        ("phi-3-mini", "phi-3", WHOLE),
        ("phi-3-mini", "phi-3-first", f"<s> {CHAT}"),
        ("phi-3-small", "phi-3-small", f"<|endoftext|> {WHOLE}"),
        ("phi-3-medium", "phi-3-medium", CHAT),
        ("phi-3.5-mini", "phi-3.5", WHOLE),
        ("phi-4", "phi-4", IM),
        ("phi-4-mini", "phi-4-mini", WHOLE),
        (
            "phi-4-mini-reasoning",
            "phi-4-mini-reasoning",
            f"<|system|> {EXPERT} ▁Be ▁kind <|end|> {CHAT} +<|endoftext|>",
        ),
    ],
)
def test_the_mask_of_every_template(folder: Path, name: str, template: str, expected: str) -> None:
    made = config(folder, folder, folder, model__weights="random")
    found = models.find(made.model)
    reference = msgspec.structs.replace(found.tokenizer, template=template)
    found = msgspec.structs.replace(found, profile=family.model(name), tokenizer=reference)
    row = RowMaker(made, found).row(Placed("a:1", Conversation([Message(role, text) for role, text in TURNS])))
    assert isinstance(row, Row)
    vocabulary = encoder(found.tokenizer, found.profile).vocabulary
    spelled = [
        ("+" if label != IGNORED else "") + vocabulary.spelled(id_)
        for id_, label in zip(row.ids.tolist(), row.labels.tolist(), strict=True)
    ]
    assert " ".join(spelled) == expected


def test_every_template_has_its_mask() -> None:
    marks = test_the_mask_of_every_template.pytestmark  # type: ignore[attr-defined]
    assert {template for _, template, _ in marks[0].args[1]} == set(family.TEMPLATES)
