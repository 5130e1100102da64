"""Get in touch with a Ray cluster, or start one on this machine."""

from __future__ import annotations

import os
import socket
from typing import Any

from harness.errors import InputError

REACH_SECONDS = 5.0


def connect(address: str | None) -> tuple[Any, bool]:
    """The module ``ray``, connected, and whether Ray was started here for that.

    A connection that is there already is used.

    Args:
        address: HOST:PORT, or ``auto`` for the cluster of this machine; None takes
            ``RAY_ADDRESS``, or starts Ray here.

    Raises:
        InputError: Ray is not installed, or no cluster of the same version answers.
    """
    # Read when Ray starts: nothing about a study is reported to anybody.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError as error:
        raise InputError(
            "engine ray needs Ray: pip install 'harness[ray]', or take engine child"
        ) from error
    place = address or os.environ.get("RAY_ADDRESS") or "local"
    if place.startswith("ray://"):
        raise InputError(
            f"{place}: a study runs on a machine of the cluster, not through Ray's client; run it "
            "there with --ray-address auto"
        )
    if ray.is_initialized():
        return ray, False
    try:
        if place == "local":
            ray.init("local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        else:
            ray.init(_that_answers(place), log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise InputError(
            f"no Ray cluster can be used at {place}: {error}; start one with `ray start --head`, "
            "or leave --ray-address and RAY_ADDRESS out to start Ray for this run"
        ) from error
    return ray, place == "local"


def _that_answers(place: str) -> str:
    """The address as HOST:PORT. Ray itself would try for minutes where nobody listens.

    Raises:
        ConnectionError, OSError: nobody does, or ``auto`` finds no cluster here.
        ValueError: this is no address.
    """
    from ray._private.services import canonicalize_bootstrap_address

    address = canonicalize_bootstrap_address(place)
    if address is None:
        raise ConnectionError("there is none on this machine")
    host, _, port = str(address).rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS).close()
    return str(address)
