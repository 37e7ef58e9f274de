"""No network: what must be set before the libraries that would use it are imported, and what never leaves here."""

from __future__ import annotations

import os
import sys
import warnings
from ipaddress import IPv6Address, ip_address

_SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def go_offline() -> None:
    """Keep the Hugging Face libraries from the network and from chatter, whatever the environment says.

    Everything that a run needs is on the disk; without this TRL pings the hub at each start. Call it before they are
    imported; where they are already, only the network is closed.
    """
    os.environ.update(_SETTINGS)
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers|trl|peft")  # theirs to mend
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:  # it has read the environment
        for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
            setattr(constants, name, True)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can call an address."""
    try:
        address = ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
