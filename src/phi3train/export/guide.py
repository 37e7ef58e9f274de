"""UPLOAD.md: what to do with a bundle for fine-tuning, command by command, with its own names and numbers.

The words are in upload.md beside this file. A test follows them: the commands against the options that they have, the
Python against the installed clients.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from phi3train.export import foundry

if TYPE_CHECKING:
    from phi3train.export.bundle import Manifest

_WHOLE = """with open(name, "rb") as file:
        body[key] = client.files.create(file=file, purpose="fine-tune").id"""
_IN_PARTS = """upload = client.uploads.upload_file_chunked(
        file=Path(name), mime_type="application/jsonl", purpose="fine-tune"
    )
    body[key] = upload.file.id"""
_HOURS = {"day": 24, "month": 730}


def render(manifest: Manifest) -> str:
    """Return the guide of a bundle."""
    facts, known = manifest.facts, foundry.table()
    about = foundry.asset(facts["model"])
    tokens, region = facts["tokens"], facts["region"]
    large = max(facts["bytes"].values()) > known.uploads_api_from
    retired = (
        f"\n\n**Foundry no longer trains this model: its managed fine-tuning ended on {about.retired}.** Stop here, "
        f"and export the data for the one that took its place: `--base {about.replacement}`."
        if about.retired
        else ""
    )
    text = Path(__file__).with_name("upload.md").read_text("utf-8")
    return text.format(
        name=manifest.name,
        endpoint=facts["endpoint"],
        asset=facts["asset"],
        asset_name=about.asset,
        base=manifest.base_model,
        as_of=known.as_of,
        new_portal_as_of=known.new_portal_as_of,
        retired=retired,
        region=region or "<REGION>",
        regions=_regions(about, region),
        train=facts["rows"]["train"],
        validation=facts["rows"]["validation"],
        tokens="" if tokens is None else f"Tokens of the training rows: {_about(manifest)}.",
        split=_split(shuffled=facts["shuffled"]),
        hyperparameters="\n".join(f"   - {name}: {value}" for name, value in facts["hyperparameters"].items()),
        batch_size_multiplier=facts["batch_size_multiplier"],
        learning_rate_multiplier=facts["learning_rate_multiplier"],
        cost=_cost(manifest),
        hosting=_hosting(manifest),
        upload=_IN_PARTS if large else _WHOLE,
        uploads_api_from=known.uploads_api_from / 1e6,
    )


def _regions(about: foundry.Asset, chosen: str | None) -> str:
    here = f"This guide is written for {chosen}." if chosen else "<REGION> is its name without spaces, such as eastus2."
    if not about.regions:
        return f"Microsoft's table names none: look at the model's card (ai.azure.com, Models, {about.asset}). {here}"
    named = ", ".join(about.regions)
    return f"Microsoft's table of {foundry.table().regions_as_of} names {named}; the model's card is newer. {here}"


def _split(*, shuffled: bool) -> str:
    says = "Automatic split takes the last fifth of the training file, in file order"
    if shuffled:
        return f"{says}: these rows stand in random order, so it is possible too, with fewer rows to learn from."
    return f"{says}, and these rows stand in the order of your inputs: export with --shuffle before you choose it."


def _about(manifest: Manifest) -> str:
    return f"{manifest.facts['tokens']:,}{' (estimated)' if manifest.facts['estimated'] else ''}"


def _cost(manifest: Manifest) -> str:
    facts = manifest.facts
    tokens, epochs = facts["tokens"], int(facts["hyperparameters"]["num_train_epochs"])
    if tokens is None:
        price = facts["price"]
        at = f"{price['per_million_tokens']:g} a million{_day(price)}" if price else "the price on the model's card"
        return (
            f"Tokens of the training rows x {epochs} epochs, at {at}. The tokens were counted for another base: "
            f"`phi3data tokens data/train.jsonl --model {facts['model']}` counts them for this one, and data that was "
            f"prepared with `--model {facts['model']}` has the sum here."
        )
    trained = tokens * epochs
    said = f"{_about(manifest)} tokens x {epochs} epochs = {trained:,} trained tokens."
    price = facts["price"]
    if price is None:
        return (
            f"{said} Times the price per token on the model's card; --price writes the sum here. Hosting comes on top."
        )
    sum_ = trained / 1e6 * price["per_million_tokens"]
    at = f"{price['per_million_tokens']:g} a million{_day(price)}"
    return f"{said} At {at}: about {sum_:,.2f}. Hosting comes on top."


def _hosting(manifest: Manifest) -> str:
    price = manifest.facts["hosting_price"]
    if price is None:
        return "Hosting is billed by the hour, used or not; --hosting-price writes the sums here."
    sums = ", ".join(f"about {price['per_hour'] * hours:,.2f} a {unit}" for unit, hours in _HOURS.items())
    return f"Hosting at {price['per_hour']:g} an hour{_day(price)}, used or not: {sums}."


def _day(price: dict[str, object]) -> str:
    return f" (price of {price['as_of']})" if price["as_of"] else ""
