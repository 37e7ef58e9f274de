"""Whether Microsoft's own client, azure-ai-ml, loads the files of a bundle and makes a request body of them."""

from __future__ import annotations

import logging
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING

from phi3train.verify.outcome import AGAIN, Outcome, failed, passed, skipped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LENGTH = 240  # characters of what the client says; the first line alone often ends in a colon
_REGION = "eastus"  # of the bodies; any will do, as none is sent


def finetune(folder: Path) -> Outcome:
    """It loads the job, the data and the endpoint."""
    return _asked(_load_job, folder, "the job, the data and the endpoint")


def endpoint(folder: Path) -> Outcome:
    """It loads the model, the endpoint and the deployment."""
    return _asked(_load_endpoint, folder, "the model, the endpoint and the deployment")


def _load_job(folder: Path) -> None:
    from azure.ai.ml import load_data, load_job, load_serverless_endpoint

    load_job(folder / "classic" / "finetune.yml")._to_rest_object().as_dict()  # type: ignore[attr-defined] # as sent
    for split in ("train", "validation"):
        load_data(folder / "classic" / f"{split}.data.yml")
    load_serverless_endpoint(folder / "classic" / "endpoint.yml")


def _load_endpoint(folder: Path) -> None:
    from azure.ai.ml import load_model, load_online_deployment, load_online_endpoint

    place = folder / "deploy" / "aml"
    load_model(place / "model.yml")._to_rest_object().as_dict()
    load_online_endpoint(place / "endpoint.yml")._to_rest_online_endpoint(_REGION).as_dict()
    load_online_deployment(place / "deployment.yml")._to_rest_object(_REGION).as_dict()  # type: ignore[call-arg]


def _installed() -> bool:
    try:
        return find_spec("azure.ai.ml") is not None
    except ModuleNotFoundError:  # azure or azure.ai is not there, whatever else of Azure is
        return False


def _asked(load: Callable[[Path], None], folder: Path, what: str) -> Outcome:
    if not _installed():
        return skipped("client", "pip install 'phi3kit[azure]' has Microsoft's client load the files too")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)  # every class of it says that it is experimental
        try:
            load(folder)
        except Exception as error:  # noqa: BLE001 (whatever the client says)
            said = " ".join(str(error).split())[:_LENGTH] or type(error).__name__
            return failed("client", f"azure-ai-ml: {said}", AGAIN)
        finally:
            logging.disable(logging.NOTSET)
    return passed("client", f"azure-ai-ml loads {what}")
