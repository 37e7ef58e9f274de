"""Uploads, against Microsoft's own emulator of the storage."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from phi3data.cli import run as command
from phi3data.errors import InputError, OutputError, UsageError
from phi3train.cli import group
from phi3train.export.bundle import Manifest, seal

blob = pytest.importorskip("azure.storage.blob", reason="the azure extra is not installed")

from phi3train import upload as uploads  # noqa: E402 (it needs that extra)
from phi3train.upload import upload  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

_AZURITE = Path(__file__).parents[2] / ".tools" / "node_modules" / ".bin" / "azurite-blob"
_ACCOUNT = "devstoreaccount1"
_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # public, Azurite's own
)


class Emulator:
    """The emulator as a process that can be stopped and started again, its data kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        where = ["--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--location", str(self.folder)]
        options = ["--disableTelemetry", "--skipApiVersionCheck", "--silent"]
        self.process = subprocess.Popen([str(_AZURITE), *where, *options], start_new_session=True)
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        pytest.fail("the emulator did not start")

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(20)

    def container(self, name: str) -> Any:
        made = blob.ContainerClient(f"http://127.0.0.1:{self.port}/{_ACCOUNT}", name, credential=_KEY)
        made.create_container()
        return made

    def address(self, name: str) -> str:
        """Return the address of a container with a signature that lasts an hour."""
        until = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
        may = blob.ContainerSasPermissions(read=True, write=True, create=True, list=True)
        signature = blob.generate_container_sas(_ACCOUNT, name, _KEY, permission=may, expiry=until)
        return f"http://127.0.0.1:{self.port}/{_ACCOUNT}/{name}?{signature}"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    if not _AZURITE.is_file() or shutil.which("node") is None:
        pytest.skip("Azurite is not installed: scripts/install_test_tools installs it with npm")
    made = Emulator(tmp_path_factory.mktemp("azurite"))
    yield made
    made.stop()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "config.json").write_text("{}", "utf-8")
    (folder / "model" / "weights.safetensors").write_bytes(bytes(range(256)) * 400)
    (folder / "empty").touch()
    seal(folder, Manifest(kind="model", name="support", base_model="microsoft/x"))
    return folder


def test_what_arrives_is_what_was_sent(
    emulator: Emulator, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(uploads, "_BLOCK", 10_000)
    container, address = emulator.container("round"), emulator.address("round")
    monkeypatch.setenv("PHI3TRAIN_UPLOAD_TO", address)
    assert command(group, ["upload", str(bundle), "--dry-run"]) == 0
    assert "would be uploaded" in capsys.readouterr().out
    assert list(container.list_blobs()) == []
    assert command(group, ["upload", str(bundle)]) == 0
    said = capsys.readouterr()
    assert "uploaded                  102,400 bytes  model/weights.safetensors\n" in said.out
    names = ["empty", "manifest.json", "model/config.json", "model/weights.safetensors"]
    assert [each.name for each in container.list_blobs()] == [f"support/{name}" for name in names]
    for name in names:
        got = container.download_blob(f"support/{name}").readall()
        assert got == (bundle / name).read_bytes()
        kept = container.get_blob_client(f"support/{name}").get_blob_properties().content_settings.content_md5
        assert bytes(kept) == hashlib.md5(got, usedforsecurity=False).digest()
    assert command(group, ["upload", str(bundle)]) == 0
    again = capsys.readouterr()
    assert again.out.endswith("4 files, 0 bytes sent\n")
    assert "sig=" not in said.out + said.err + again.out + again.err


def test_another_file_is_not_replaced_unless_asked(emulator: Emulator, bundle: Path) -> None:
    container, address = emulator.container("mine"), emulator.address("mine")
    container.upload_blob("support/model/config.json", b"mine")
    with pytest.raises(OutputError, match=r"mine/support/model/config\.json: another file is there: --overwrite"):
        upload(bundle, address)
    assert container.download_blob("support/model/config.json").readall() == b"mine"
    upload(bundle, address, overwrite=True)
    assert container.download_blob("support/model/config.json").readall() == b"{}"


def test_cut_in_the_middle_it_goes_on(emulator: Emulator, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_BLOCK", 10_000)
    monkeypatch.setattr(uploads, "_RETRIES", 0)
    container, address = emulator.container("cut"), emulator.address("cut")
    stage = blob.BlobClient.stage_block
    staged = 0

    def cut(self: object, *args: object, **options: object) -> object:
        nonlocal staged
        staged += 1
        if staged == 7:
            emulator.stop()
        return stage(self, *args, **options)

    monkeypatch.setattr(blob.BlobClient, "stage_block", cut)
    with pytest.raises(OutputError) as raised:
        upload(bundle, address)
    assert re.fullmatch(r"http://127.0.0.1:\d+/devstoreaccount1/cut: the connection was cut .*", str(raised.value))
    emulator.start()
    assert "support/manifest.json" not in [each.name for each in container.list_blobs()]
    done = {each.name: each for each in upload(bundle, address)}
    assert done["model/config.json"].state == "already there"
    assert 0 < done["model/weights.safetensors"].sent < 102_400
    got = container.download_blob("support/model/weights.safetensors").readall()
    assert got == (bundle / "model" / "weights.safetensors").read_bytes()


def test_what_is_wrong_is_one_line_without_the_signature(
    emulator: Emulator, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    emulator.container("wrong")
    address = emulator.address("wrong")
    broken = re.sub(r"sig=.", "sig=x", address)
    assert command(group, ["upload", str(bundle), "--to", broken]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "/devstoreaccount1/wrong: refused (AuthorizationFailure): the signature is wrong" in said
    assert not {"sig=", "sv=", "se="} & set(re.findall(r"\w+=", said))
    with pytest.raises(UsageError, match="there is no such container"):
        upload(bundle, emulator.address("nowhere"))


def test_addresses_and_bundles_that_are_none(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no signature: make one"):
        upload(bundle, "http://127.0.0.1:9/a/b")
    for address in (
        "mycontainer",
        "https://x.blob.core.windows.net/?sig=secret",
        "file:///c",
        "https://[a/c?sig=secret",
    ):
        with pytest.raises(UsageError, match="expected the address of a container") as raised:
            upload(bundle, address)
        assert "secret" not in str(raised.value)
    (bundle / "model" / "config.json").write_text("other", "utf-8")
    with pytest.raises(InputError, match=r"its files are not those of manifest\.json"):
        upload(bundle, "http://127.0.0.1:9/a/b?sig=x")
    with pytest.raises(InputError, match="is no bundle"):
        upload(tmp_path, "http://127.0.0.1:9/a/b?sig=x")
