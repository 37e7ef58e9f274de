"""``phi3train verify``: a bundle against the runtimes that will load it."""

from __future__ import annotations

from pathlib import Path

import click

from phi3train.cli import options


@click.command("verify")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--dialects", is_flag=True, help="Load it with transformers 4 too; installs that once, from the network.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify_command(bundle: Path, *, dialects: bool, as_json: bool) -> int:
    """Check that BUNDLE is whole and safe, and that it loads; exit 1 if a check fails.

    Its files against the manifest, no pickle and no code, no path of this machine, weights against their index, both
    dialects of the configuration, tokenizer and chat template, the tokens that end an answer; and the answers of the
    loaded model against those that were written down when it was exported.
    """
    options.need_extra("verify")
    from phi3train.offline import go_offline

    go_offline()
    import msgspec

    from phi3train.verify import verify
    from phi3train.verify.outcome import table

    found = verify(bundle, dialects=dialects)
    good = all(each.state != "failed" for each in found)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode({"passed": good, "checks": found}), indent=2))
    else:
        click.echo(table(found), nl=False)
    return 0 if good else 1
