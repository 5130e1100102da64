"""`transformers serve` on a free port of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

STARTS_WITHIN = 120.0


@contextmanager
def transformers_serve(model: Path, log: Path) -> Iterator[str]:
    """The base address of a server of ``model``, which it knows by its path."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(model),
               "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]  # fmt: skip
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, "HF_HUB_OFFLINE": "1"}
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", server, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(30)


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    # Without a proxy: the server is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + STARTS_WITHIN
    while True:
        assert server.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < until, f"no answer in {STARTS_WITHIN:g} s"
        try:
            with opener.open(address, timeout=5):
                return
        except (URLError, TimeoutError):
            time.sleep(0.2)
