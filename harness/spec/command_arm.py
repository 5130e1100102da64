"""The arm that a training command of the user's fine-tunes, once a trial."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from harness.spec.arm_base import WaysTried
from harness.spec.settings import PARAMETER, AdapterBase, Parameter, Rows, SameBase, Settings
from harness.spec.spaces import Choice, FloatRange, IntRange, PositiveFloat, Space

# What a word of the command may hold -> what stands in its place.
PLACES: Mapping[str, str] = {
    "parameters": "the file with all that the trial tells",
    "train": "the file of training rows",
    "validation": "the file of validation rows",
    "model": "the folder of the base model",
    "result": "the folder that the weights are to be written to",
    "checkpoint": "a folder that outlives a trial that is killed",
    "seed": "the seed",
    "python": "the Python that runs this program",
}
_PLACE = re.compile(r"\{([a-z_]+(?:\.[^{}\s]+)?)\}")
_TEXT_TO_YAML = re.compile(r"[+-]?\d+[eE][+-]?\d+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class CommandArm(WaysTried):
    """A training program of the user's own, run by each trial as the search proposes.

    It reads its rows and parameters from files, and leaves an adapter of peft or a whole checkpoint
    in a folder, which is judged as what the study trains itself.
    """

    kind: Literal["command"]
    command: tuple[str, ...] = Field(
        min_length=1,
        description="Its words; no shell reads them. {parameters}, {train}, {validation}, {model}, "
        "{result}, {checkpoint}, {seed}, {python} and {parameters.NAME} are replaced. Words that "
        "name a file beside the experiment, also after an option's `=`, are that file.",
    )
    parameters: dict[str, FloatRange | IntRange | Choice[Parameter] | Parameter] = Field(
        default_factory=dict,
        description="Name -> a value, or a range or choice that is searched; what they mean is the "
        "command's affair.",
    )
    rows: Rows = Field(
        "prompt_completion",
        description="How a row is written: prompt_completion, lists of messages (as TRL has them); "
        "messages, one list (as OpenAI has it); or text, prompt and completion through the model's "
        "chat template, exactly as they are scored.",
    )
    files: tuple[str, ...] = Field(
        (),
        description="Files and folders that the command reads and does not name: what they hold is "
        "part of what a trial is known by.",
    )
    environment: tuple[str, ...] = Field(
        (),
        description="Variables of the environment that it is given beside the usual ones, such as "
        "a key: no other that may hold a secret is.",
    )
    base: AdapterBase = "plain"
    same_base: SameBase = False
    minutes: PositiveFloat | None = Field(
        None,
        description="What one training takes, as far as you know, for `harness plan`; it goes by "
        "the trials that have run where there are any.",
    )

    @field_validator("command")
    @classmethod
    def _known_places(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if not words[0].strip():
            raise ValueError("the first word names a program")
        named = [name for word in words for name in _PLACE.findall(word)]
        for name in named:
            if name not in PLACES and not name.startswith(PARAMETER):
                known = ", ".join(f"{{{place}}}" for place in (*PLACES, f"{PARAMETER}NAME"))
                raise ValueError(f"{{{name}}} stands for nothing; of these each does: {known}")
        if not {"parameters", "result"} & set(named):
            raise ValueError(
                "it is never told where to leave the weights: give it {parameters}, the file that "
                "tells all, or {result}, the folder"
            )
        return words

    @field_validator("parameters", mode="before")
    @classmethod
    def _spaces(cls, parameters: Any) -> Any:
        """Ranges as what they are: of whole numbers where both ends are written so."""
        if not isinstance(parameters, dict):
            return parameters
        return {name: _space(value) for name, value in parameters.items()}

    @field_validator("parameters")
    @classmethod
    def _names(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        for name in parameters:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name: letters, digits, dot, dash, underscore")
        return parameters

    @field_validator("environment")
    @classmethod
    def _variables(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a variable; values are not written here")
        return names

    @model_validator(mode="after")
    def _told_parameters(self) -> Self:
        for word in self.command:
            for name in _PLACE.findall(word):
                if name.startswith(PARAMETER) and name.removeprefix(PARAMETER) not in (
                    self.parameters
                ):
                    raise ValueError(f"command: {{{name}}}: there is no such parameter")
        return self

    def search_space(self) -> dict[str, Space]:
        """Its hyperparameters that are ranges or choices, the command's own among them."""
        own = {
            PARAMETER + name: value
            for name, value in self.parameters.items()
            if isinstance(value, FloatRange | IntRange | Choice)
        }
        return super().search_space() | own

    def allows(self, name: str, value: object) -> bool:
        """Whether a hyperparameter may have the value; what the command takes is not known."""
        return name.startswith(PARAMETER) or super().allows(name, value)

    def resolve(self, params: dict[str, Any]) -> Settings:
        """Every hyperparameter with one value: ``params`` for those searched, the rest as given.

        Raises:
            KeyError: ``params`` misses a searched hyperparameter.
        """
        searched = self.search_space()
        chosen = {
            name: params[PARAMETER + name] if PARAMETER + name in searched else value
            for name, value in self.parameters.items()
        }
        return super(CommandArm, self.model_copy(update={"parameters": chosen})).resolve(params)


def filled(word: str, told: Mapping[str, str]) -> str:
    """A word of a command with what stands in its places.

    Args:
        told: name of a place -> what stands there.
    """
    return _PLACE.sub(lambda match: told[match[1]], word)


def _space(value: Any) -> Any:
    for text in value.get("choices", ()) if isinstance(value, dict) else (value,):
        if isinstance(text, str) and _TEXT_TO_YAML.fullmatch(text):
            mantissa, _, exponent = text.lower().partition("e")
            raise ValueError(f"{text} is text to YAML; write {mantissa}.0e{exponent}")
    if not isinstance(value, dict):
        return value
    if "choices" in value:
        return Choice[Parameter].model_validate(value)
    ends = [value.get(name) for name in ("low", "high", "default") if value.get(name) is not None]
    whole = all(isinstance(end, int) and not isinstance(end, bool) for end in ends)
    return (IntRange if whole else FloatRange).model_validate(value)


__all__ = ["PLACES", "CommandArm", "filled"]
