"""``phi3train upload``: a bundle into Azure Blob storage."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phi3data.errors import MissingExtraError

if TYPE_CHECKING:
    from phi3train.upload import Sent


@click.command("upload")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "address",
    metavar="URL",
    required=True,
    envvar="PHI3TRAIN_UPLOAD_TO",
    help="Container, with a shared access signature; or PHI3TRAIN_UPLOAD_TO in the environment, where nobody sees it.",
)
@click.option("--prefix", default="", help="Folder in the container; the bundle's name otherwise.")
@click.option("--identity", is_flag=True, help="Sign in as az does, for an address without a signature.")
@click.option("--overwrite", is_flag=True, help="Replace other files that are there.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
def upload_command(bundle: Path, address: str, prefix: str, *, identity: bool, overwrite: bool, dry_run: bool) -> None:
    """Upload BUNDLE into a container of Azure Blob storage.

    Every file is proved by its MD5. What is there already is not sent again, so a call that was cut goes on when it is
    made again; another file of the same name is not replaced.
    """
    if find_spec("azure") is None or find_spec("azure.storage") is None:
        raise MissingExtraError("phi3train upload", "azure")
    from phi3train.upload import upload

    def told(sent: Sent) -> None:
        click.echo(f"{sent.state:<17} {sent.bytes:>15,} bytes  {sent.name}")

    credential: Any = None
    if identity:
        from azure.identity import DefaultAzureCredential

        credential = DefaultAzureCredential()
    done = upload(
        bundle, address, prefix=prefix, credential=credential, overwrite=overwrite, dry_run=dry_run, told=told
    )
    click.echo(f"{len(done)} files, {sum(each.sent for each in done):,} bytes sent")
