"""The experiment file as frozen values. Defaults live here, once."""

from harness.spec.arms import (
    Arm,
    ClassifierArm,
    FullArm,
    LoraArm,
    PromptArm,
    QloraArm,
    TrainedArm,
)
from harness.spec.brought_arm import BroughtArm
from harness.spec.command_arm import CommandArm
from harness.spec.data import DataSpec, Limits, SplitFiles, SplitShares
from harness.spec.endpoint import EndpointSpec
from harness.spec.experiment import Experiment, GeneralSpec
from harness.spec.judges import JudgeSpec
from harness.spec.load import load_experiment
from harness.spec.model import ModelSpec
from harness.spec.search import Budget, ExecutionSpec, SearchSpec
from harness.spec.spaces import Choice, FloatRange, IntRange, Space
from harness.spec.task import TaskSpec

__all__ = [
    "Arm",
    "BroughtArm",
    "Budget",
    "Choice",
    "ClassifierArm",
    "CommandArm",
    "DataSpec",
    "EndpointSpec",
    "ExecutionSpec",
    "Experiment",
    "FloatRange",
    "FullArm",
    "GeneralSpec",
    "IntRange",
    "JudgeSpec",
    "Limits",
    "LoraArm",
    "ModelSpec",
    "PromptArm",
    "QloraArm",
    "SearchSpec",
    "Space",
    "SplitFiles",
    "SplitShares",
    "TaskSpec",
    "TrainedArm",
    "load_experiment",
]
