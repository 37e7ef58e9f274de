"""``phi3train sample``: a trained model answers."""

from __future__ import annotations

from pathlib import Path

import click

from phi3data.errors import UsageError
from phi3train.cli import options


@click.command("sample")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--prompt", "texts", multiple=True, metavar="TEXT", help="A user's message; repeatable.")
@click.option("-n", "number", type=click.IntRange(1), default=4, show_default=True, help="Else so many held-out rows.")
@click.option("--data", type=click.Path(path_type=Path), help="File of chats; the run's own test rows otherwise.")
@click.option("--max-tokens", type=click.IntRange(1), default=256, show_default=True, help="Tokens per answer.")
@click.option("--temperature", type=click.FloatRange(0), default=0.0, show_default=True, help="0 takes the likeliest.")
@click.option("--base", is_flag=True, help="Let the model answer that the run was trained from.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object an answer.")
def sample_command(
    run: Path,
    texts: tuple[str, ...],
    number: int,
    data: Path | None,
    max_tokens: int,
    temperature: float,
    *,
    base: bool,
    as_json: bool,
) -> None:
    """Let the best model of RUN answer, and say how often it stops by itself."""
    options.need_extra("sample")
    from phi3train.offline import go_offline

    go_offline()
    import msgspec

    from phi3data.report.html.visible import plain
    from phi3train.generation import prompts, stop_rate
    from phi3train.measuring import Trained

    trained = Trained(run)
    if trained.classes:
        raise UsageError(f"{run}: holds a classification head, which writes no text: measure it with phi3train eval")
    asked = [trained.prompt(text) for text in texts] or prompts(trained.data(data).rows, number, trained.ends)
    made = trained.answer(trained.load(base=base), asked, max_tokens=max_tokens, temperature=temperature)
    for sample in made:
        if as_json:
            click.echo(msgspec.json.encode(sample))
        else:
            end = "" if sample.stopped else f"  [cut off after {sample.tokens} tokens]"
            lines = [*sample.prompt.splitlines(), *f"→ {sample.answer}{end}".splitlines()]
            click.echo("\n".join(plain(line) for line in lines) + "\n")
    click.echo(f"stops by itself: {stop_rate(made):.1%} of {len(made)}", err=True)
