"""The arms of an experiment whose model lies behind a server."""

from __future__ import annotations

from collections.abc import Mapping

from harness.errors import Problem
from harness.spec.endpoint import EndpointSpec
from harness.spec.experiment import Experiment


def missing_keys(experiment: Experiment, environment: Mapping[str, str]) -> list[Problem]:
    """Arms whose endpoint needs a key that the environment does not hold.

    Args:
        environment: ``os.environ``. No value of it is in what is returned.
    """
    return [
        Problem(
            f"arms.{name}.endpoint.key_variable",
            f"the environment variable {endpoint.key_variable} is not set; set it to the key of "
            f"{endpoint.url}",
        )
        for name, endpoint in endpoints(experiment).items()
        if endpoint.key_variable and not environment.get(endpoint.key_variable, "").strip()
    ]


def endpoints(experiment: Experiment) -> dict[str, EndpointSpec]:
    """Arm -> the server that it asks, for those arms that ask one."""
    endpoint_of = {name: getattr(arm, "endpoint", None) for name, arm in experiment.arms.items()}
    return {name: endpoint for name, endpoint in endpoint_of.items() if endpoint is not None}
