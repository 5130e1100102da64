"""The arms and judges of an experiment whose model lies behind a server, and their keys."""

from __future__ import annotations

from collections.abc import Mapping

from harness.errors import Problem
from harness.spec.command_arm import CommandArm
from harness.spec.endpoint import EndpointSpec
from harness.spec.experiment import Experiment


def missing_keys(experiment: Experiment, environment: Mapping[str, str]) -> list[Problem]:
    """Arms and judges that need a key which the environment does not hold.

    An endpoint's key, or a variable that a training command is to be given.

    Args:
        environment: ``os.environ``. No value of it is in what is returned.
    """
    asked = {f"arms.{arm}": endpoint for arm, endpoint in endpoints(experiment).items()}
    asked |= {f"judges.{name}": server for name, server in judge_servers(experiment).items()}
    asked |= {
        f"arms.{arm}.instruction.optimise.reflection": server
        for arm, server in writer_servers(experiment).items()
    }
    wanted = [
        (f"arms.{name}.environment", variable)
        for name, arm in experiment.arms.items()
        if isinstance(arm, CommandArm)
        for variable in arm.environment
    ]
    of_commands = [
        Problem(where, f"the environment variable {variable} is not set; set it, or leave it out")
        for where, variable in wanted
        if variable not in environment
    ]
    return of_commands + [
        Problem(
            f"{name}.endpoint.key_variable",
            f"the environment variable {endpoint.key_variable} is not set; set it to the key of "
            f"{endpoint.url}",
        )
        for name, endpoint in asked.items()
        if endpoint.key_variable and not environment.get(endpoint.key_variable, "").strip()
    ]


def endpoints(experiment: Experiment) -> dict[str, EndpointSpec]:
    """Arm -> the server that it asks, for those arms that ask one."""
    endpoint_of = {name: getattr(arm, "endpoint", None) for name, arm in experiment.arms.items()}
    return {name: endpoint for name, endpoint in endpoint_of.items() if endpoint is not None}


def writer_servers(experiment: Experiment) -> dict[str, EndpointSpec]:
    """Arm -> the server that writes its instruction, where that is not its own."""
    optimisers = {name: arm.optimiser for name, arm in experiment.arms.items()}
    return {
        name: optimiser.reflection.endpoint
        for name, optimiser in optimisers.items()
        if optimiser is not None and optimiser.reflection.endpoint is not None
    }


def judge_servers(experiment: Experiment) -> dict[str, EndpointSpec]:
    """Judge -> the server that it asks, for those that ask one and whose mark is a metric."""
    used = {metric.judge for metric in experiment.task.judged}
    return {
        name: judge.endpoint
        for name, judge in experiment.judges.items()
        if judge.endpoint is not None and name in used
    }
