"""Microsoft's scoring server over a bundle: run as a program, in a network namespace of its own.

    unshare -rn PYTHON scoring.py BUNDLE BODIES

The server listens on every address there is; in such a namespace that is this one's loopback, and nobody else sees it.
BODIES is a JSON list of request bodies; printed are [status, answer] of the health probe and of each of them, in turn.
PYTHON is that of the server's environment.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

_PORT = 5001
_UP = 0x8914, struct.pack("16sh14x", b"lo", 0x41)  # SIOCSIFFLAGS: up and running


def ask(path: str, body: str | None = None) -> tuple[int, Any]:
    data = None if body is None else body.encode()
    request = urllib.request.Request(f"http://127.0.0.1:{_PORT}{path}", data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait(server: subprocess.Popen[bytes]) -> tuple[int, Any]:
    while server.poll() is None:
        try:
            return ask("/")
        except OSError:
            time.sleep(0.1)
    sys.exit("the server ended")


def main(bundle: str, bodies: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, *_UP)
    script = ["--entry_script", f"{bundle}/deploy/aml/code/score.py", "--model_dir", bundle]
    command = [sys.executable, "-m", "azureml_inference_server_http.amlserver", *script, "--port", str(_PORT)]
    server = subprocess.Popen(command, start_new_session=True, stdout=sys.stderr)
    try:
        print(json.dumps([wait(server), *(ask("/score", body) for body in json.loads(bodies))]))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


if __name__ == "__main__":
    main(*sys.argv[1:])
