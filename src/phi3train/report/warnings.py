"""What a reader must know first: all that went wrong in a run, or looks as if it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from phi3data.report.html.view import share
from phi3data.report.inspection.wording import plural
from phi3train.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3train.report.story import Story

_WORSE = 0.02  # of the loss: less than that is the noise of a small validation set
_STOPS = 0.9  # of the samples: the model has not learned to end an answer where fewer do
_SLOWER = 1.25  # times the time or memory that was planned
_MEASURED = 60.0  # seconds after which a rate is a rate and no start-up
_REFUSES = 0.05  # of the prompts: a change of refusals that is worth a look
_FULL, _MANY = 0.8, 10  # of packed rows; the last one is seldom full, so a few say nothing
_NAMED = 3


def warnings(story: Story) -> list[str]:
    """Return the warnings of a run as sentences, the gravest first."""
    return [*_ending(story), *_learning(story), *_answers(story), *_classes(story), *_rows(story), *_planned(story)]


def _ending(story: Story) -> Iterator[str]:
    state = story.state
    step, steps = state.get("step", 0), state.get("steps", 0)
    if state["state"] == "failed":
        yield f"The run failed at step {step:,} of {steps:,}: {state.get('error') or 'the error is in its output'}"
    if state["state"] == "running":
        yield f"The run has not ended, or was killed: run.json says that it is at step {step:,} of {steps:,} or later."
    if state["state"] == "interrupted":
        yield f"The run was stopped at step {step:,} of {steps:,}: phi3train run --resume auto goes on with it."
    if state["state"] == "done" and step < steps:
        yield f"The run ended early at step {step:,} of {steps:,}: no evaluation was better than the best for long."
    if story.config.model.weights == "random":
        yield "The weights were random before the run: it shows how the pipeline works, and nothing about the model."


def _learning(story: Story) -> Iterator[str]:
    spikes = [each for each in story.steps if each.spike is not None]
    if spikes:
        named = "; ".join(f"step {each.step:,}: {_named((each.spike or {})['rows'])}" for each in spikes[:_NAMED])
        more = f"; and {len(spikes) - _NAMED:,} more" if len(spikes) > _NAMED else ""
        yield f"The loss jumped in {plural(len(spikes), 'step')} ({named}{more}): look at the rows."
    odd = [each for each in story.steps if each.loss is None or each.grad_norm is None]
    if odd:
        yield f"Loss or gradient was no number at step {odd[0].step:,}."
    best = story.best
    if "validation" not in story.data and story.data:
        yield "There are no validation rows: nothing says whether the model learned or learned by heart."
    elif best is not None and best.eval_loss is not None:
        last = story.evaluations[-1]
        if last.eval_loss is not None and last.eval_loss > best.eval_loss * (1 + _WORSE):
            yield (
                f"The evaluation got worse after step {best.step:,}: {best.eval_loss:.4f} there, {last.eval_loss:.4f} "
                "in the end. best/ holds the better model; fewer epochs or a lower learning rate would do."
            )
        losses = [each.loss for each in story.steps[:10] if each.loss is not None]
        if losses and best.eval_loss > sum(losses) / len(losses):
            yield "No evaluation is better than the loss of the first steps: nothing was learned that holds."


def _answers(story: Story) -> Iterator[str]:
    rates = [each for each in story.evaluations if each.stop_rate is not None]
    if rates and (rates[-1].stop_rate or 0.0) < _STOPS:
        yield (
            f"The model ended only {rates[-1].stop_rate:.0%} of its last samples itself: it needs more training, or "
            "samples.max_tokens is too small."
        )
    evaluation = story.evaluation or {}
    trained, base = evaluation.get("trained") or {}, evaluation.get("base") or {}
    if trained and base and trained["loss"] > base["loss"]:
        yield (
            f"The trained model is worse than its base on {evaluation['data']}: {trained['loss']:.4f} nats a token, "
            f"the base {base['loss']:.4f}."
        )
    if trained.get("refusals") and base.get("refusals"):
        ours, theirs = (msgspec.convert(side["refusals"], Refusals) for side in (trained, base))
        yield from refusals(ours, theirs)


def refusals(ours: Refusals | None, theirs: Refusals | None) -> Iterator[str]:
    """Yield what a change of the refusals means; nothing where it is small or none were asked for."""
    if ours is None or theirs is None:
        return
    said = f"{ours.refused:,} of {ours.prompts:,} prompts are refused, {theirs.refused:,} before the training"
    if ours.rate > theirs.rate + _REFUSES:
        yield f"The model refuses more than its base: {said}. Look for refusals in the training rows."
    elif ours.rate < theirs.rate - _REFUSES:
        yield f"The model refuses less than its base: {said}. If they should be refused, the training weakened that."


def _classes(story: Story) -> Iterator[str]:
    scores = story.confusion
    if scores is None:
        return
    if scores.accuracy <= scores.majority and len(scores.classes) > 1:
        yield (
            f"The head is no better than always naming the most frequent class: {scores.accuracy:.1%} of the rows are "
            f"right, {scores.majority:.1%} so."
        )
    never = [each.name for each in scores.per_class if each.rows and not each.predicted]
    if never:
        yield (
            f'Never predicted: {_named(never)}. More rows of such a class help, or classify.class_weights = "balanced".'
        )


def _rows(story: Story) -> Iterator[str]:
    for split, account in story.data.items():
        lost = account["dropped_rows"]
        if lost:
            seen = account["rows"] + len(lost)
            yield (
                f"{len(lost):,} of {seen:,} {split} rows ({share(len(lost), seen)}) were left out; the first is "
                f"{lost[0]['id']}: {lost[0]['message']}."
            )
        if account["trimmed"]:
            yield f"{len(account['trimmed']):,} {split} rows lost their oldest turns: they were too long."
        packed = account["packing_efficiency"]
        if packed is not None and packed < _FULL and account["packed_rows"] >= _MANY:
            yield f"Packed {split} rows are only {packed:.0%} full: another packing.length wastes less."


def _planned(story: Story) -> Iterator[str]:
    made, real = story.predicted, story.measured
    if made is None or real is None or not real.get("memory"):
        return  # on a CPU the plan's rate is an order of magnitude
    need = sum(made["memory"].values())
    if real["memory"] > _SLOWER * need:
        yield f"The run took {real['memory'] / 2**30:.1f} GiB of memory, planned were {need / 2**30:.1f} GiB."
    if real["seconds"] > _MEASURED and real["tokens_per_second"] * _SLOWER < made["tokens_per_second"]:
        yield (
            f"The run made {real['tokens_per_second']:,.0f} tokens/s, planned were {made['tokens_per_second']:,.0f}."
        )


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
