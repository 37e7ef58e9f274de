"""Answers of a model, and whether it stops by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch

from phi3train.data.rows import IGNORED, ends_of_turn, spread
from phi3train.evaluation import evaluating

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from phi3data.tokens.encode import Encoder
    from phi3train.data.rows import Row
    from phi3train.models import Model
    from phi3train.plan.memory import Precision

_COLDEST = 1e-4  # below it the scores, divided by it, are infinite


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A row up to its first answer, and the ids of that answer without what ends it."""

    id: str
    ids: list[int]
    answer: list[int]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. `stopped` tells whether the model ended it; `tokens` counts it without what ended it."""

    id: str
    prompt: str
    wanted: str
    answer: str
    tokens: int
    stopped: bool


def stops(model: Model, encoder: Encoder) -> list[int]:
    """Return the ids that end an answer: the family's for the model, by the ids that its tokenizer gives them."""
    controls = {text: control.id for text, control in encoder.vocabulary.controls.by_text.items()}
    known = {id_: text for text, id_ in model.profile.vocabulary.controls.items()}
    family = {controls[known[id_]] for id_ in model.profile.eos if known.get(id_) in controls}
    return sorted(family | set(ends_of_turn(encoder)))


def prompts(rows: Sequence[Row], number: int, ends: Sequence[int]) -> list[Prompt]:
    """Return prompts from up to `number` rows, spread evenly over all of them."""
    if not number:
        return []
    return [_prompt(row, set(ends)) for row in spread(rows, number)]


def answer(
    model: Any,
    tokenizer: Any,
    asked: Sequence[Prompt],
    ends: Sequence[int],
    *,
    max_tokens: int,
    temperature: float,
    seed: int,
    precision: Precision,
) -> list[Sample]:
    """Let the model answer each prompt. Random numbers of the run are left as they are; the seed makes its own."""
    made = []
    with torch.random.fork_rng(), evaluating(model, precision):
        torch.manual_seed(seed)
        for prompt in asked:
            new = write(
                model, prompt.ids, ends, pad=tokenizer.pad_token_id, max_tokens=max_tokens, temperature=temperature
            )
            stopped = bool(new) and new[-1] in ends
            words = new[:-1] if stopped else new
            made.append(
                Sample(
                    id=prompt.id,
                    prompt=tokenizer.decode(prompt.ids),
                    wanted=tokenizer.decode(prompt.answer),
                    answer=tokenizer.decode(words),
                    tokens=len(words),
                    stopped=stopped,
                )
            )
    return made


def write(
    model: Any,
    prompt: Sequence[int],
    ends: Sequence[int],
    *,
    pad: int,
    max_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    heard: Callable[[int], bool] | None = None,
) -> list[int]:
    """Return the ids that a model writes after `prompt`: up to `max_tokens`, the last one of `ends` if it ends itself.

    A temperature of 0, or one too small to divide by, takes the likeliest token; above it tokens are drawn with
    PyTorch's random numbers, from the likeliest ones that have the probability `top_p` together. `heard` gets each id
    when it is there; what it returns as True is the last one.
    """
    ids = torch.tensor([list(prompt)], device=next(model.parameters()).device)
    # Beside a temperature and top_p there is no limit to the number of tokens that are drawn from; the default is 50.
    drawn = {"temperature": temperature, "top_p": top_p, "top_k": 0} if temperature >= _COLDEST else {}

    def enough(written: torch.Tensor, _: Any) -> torch.Tensor:
        stop = heard is not None and heard(int(written[0, -1]))
        return torch.tensor([stop], device=written.device)

    out = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=bool(drawn),
        max_new_tokens=max_tokens,
        eos_token_id=list(ends),
        pad_token_id=pad,
        use_cache=True,
        stopping_criteria=[enough],
        **drawn,
    )
    written: list[int] = out[0, len(prompt) :].tolist()
    return written


def stop_rate(samples: Sequence[Sample]) -> float:
    """Return the part of the answers that the model ended itself, fraction 0–1; 0 of none."""
    return sum(sample.stopped for sample in samples) / len(samples) if samples else 0.0


def _prompt(row: Row, ends: set[int]) -> Prompt:
    learned = np.flatnonzero(row.labels != IGNORED)
    first = int(learned[learned > 0][0])
    ids = row.ids.tolist()
    last = next((at for at in range(first, len(ids)) if ids[at] in ends), len(ids))
    return Prompt(id=row.id, ids=ids[:first], answer=ids[first:last])
