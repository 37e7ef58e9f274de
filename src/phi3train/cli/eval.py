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
@click.option("--refusals", type=click.Path(path_type=Path), help="File of prompts: how many are refused.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def eval_command(
    run: Path, data: Path | None, answers: int, max_tokens: int, refusals: Path | None, *, as_json: bool
) -> None:
    """Measure the best model of RUN, and the model that it was trained from, on rows that neither was trained on.

    Exact loss and perplexity, token accuracy, and of written answers: stop rate, exact match, F1 of words; with
    --refusals (a prompt a line, or chats) how often both refuse. Of a classification head: accuracy, macro-F1, and each
    class. Writes eval.json into RUN, and its report.html anew.
    """
    options.need_extra("eval")
    from phi3train.offline import go_offline

    go_offline()
    import msgspec

    from phi3train.measuring import Trained, render

    trained = Trained(run)
    if trained.classes:
        from phi3train.classification import measuring

        head = measuring.measure(trained, data)
        click.echo(msgspec.json.encode(head) if as_json else measuring.render(head).encode(), nl=as_json)
        return
    found = trained.evaluate(data, answers=answers, max_tokens=max_tokens, refusable=refusals)
    click.echo(msgspec.json.encode(found) if as_json else render(found).encode(), nl=as_json)
