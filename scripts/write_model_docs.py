#!/usr/bin/env python3
"""Write docs/models.md from the family's table, so that there is one place for each fact."""

from __future__ import annotations

from pathlib import Path

from phi3data import family

_HEAD = """# The models

Made from `src/phi3data/family/table.py` by `scripts/write_model_docs.py`. Adding a model is adding an entry there.

"""
_TEMPLATES = """
## Chat templates

A row as each template writes it: a system message, a question, an answer, a tool's answer; ⏎ is a line feed. What is
not there, the model never sees: `phi3data check --model …` says so (R407, T606, G906, G907).

"""
_END = """
The template is the tokenizer's own where `--tokenizer DIR` has one (`chat_template.jinja`, or `chat_template` in
`tokenizer_config.json`), since that is what training and serving with it would use. It is recognised by what it does:
both revisions of Phi-3-mini are told apart that way. A template that is none of these runs in jinja2's sandbox. A
template that writes control tokens which the tokenizer beside it does not have belongs to another model; then the
model's is used, and a note says so.
"""


def page() -> str:
    """Return the whole page."""
    lines = ["| model | also called | context | vocabulary | stops on | pad | rope | template |", "|" + "---|" * 8]
    lines += [
        f"| `{model.name}` | {', '.join(f'`{alias}`' for alias in model.aliases)} | {model.context:,} "
        f"| {model.vocabulary.kind}, {model.vocabulary.size:,} | {', '.join(map(str, model.eos))} "
        f"| `{_cell(model.pad)}` | {model.rope} | {', '.join(template.name for template in model.templates)} |"
        for model in family.MODELS.values()
    ]
    return _HEAD + "\n".join(lines) + "\n" + _TEMPLATES + "\n".join(_shown()) + "\n" + _END


def _shown() -> list[str]:
    from phi3data.chat import Conversation, Message

    turns = [("system", "Be kind."), ("user", "Hi"), ("assistant", "Hello!"), ("tool", "21 °C")]
    row = Conversation([Message(role, content) for role, content in turns])
    out = ["| template | the row | generation prompt |", "|---|---|---|"]
    for template in family.TEMPLATES.values():
        written = template.render(row).replace("\n", "⏎")
        prompt = template.prompt.replace("\n", "⏎")
        out.append(f"| {template.name} | `{_cell(written)}` | {f'`{_cell(prompt)}`' if prompt else 'none'} |")
    return out


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    (Path(__file__).parents[1] / "docs" / "models.md").write_text(page(), "utf-8")
