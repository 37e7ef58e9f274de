"""``phi3train eval``: a trained model on held-out rows."""

from __future__ import annotations

from pathlib import Path

import click

from phi3train.cli import options


@click.command("eval")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="File of chats; the run's own test rows otherwise.")
@click.option("--answers", type=click.IntRange(0), default=20, show_default=True, help="Prompts to answer.")
@click.option("--max-tokens", type=click.IntRange(1), default=256, show_default=True, help="Tokens per answer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def eval_command(run: Path, data: Path | None, answers: int, max_tokens: int, *, as_json: bool) -> None:
    """Measure the best model of RUN, and the model that it was trained from, on rows that neither was trained on.

    Exact loss and perplexity, token accuracy, and of written answers: stop rate, exact match, F1 of words. Writes
    eval.json into RUN.
    """
    options.need_extra("eval")
    from phi3train.offline import go_offline

    go_offline()
    import msgspec

    from phi3train.measuring import Trained, render

    found = Trained(run).evaluate(data, answers=answers, max_tokens=max_tokens)
    click.echo(msgspec.json.encode(found) if as_json else render(found).encode(), nl=as_json)
