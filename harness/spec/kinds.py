"""What each kind of arm does, as plain values.

Other code asks these, never for a kind's name: a new kind is an entry here, its spec
(:mod:`harness.spec.arms`, :mod:`harness.spec.settings`) and its loader (:mod:`harness.models`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KindInfo:
    """One kind of arm."""

    name: str
    """As in the experiment file and in every record."""
    label: str
    """In tables of reports."""
    meaning: str
    """What the arm is, for who has never heard of it: a noun phrase."""
    why: str
    """What a first experiment has it for: a phrase."""
    trains: bool
    """Its trials change weights of the model."""
    fine_tuned: bool
    """The model that it asks was fine-tuned, in its trials or before them; else it is asked as it
    is."""
    commanded: bool
    """What trains it is a command of the user's, which its trials run."""
    language_model: bool
    """A language model answers; else the arm is a reference that stands beside those of which one
    does, and is no candidate of the verdict."""
    adapts: bool
    """It trains adapters on a frozen base; False where every weight is trained, or none."""
    quantises: bool
    """Its base is loaded in 4 bits."""
    operations: float
    """For a weight and a token that is trained on: forward 2; backward through frozen weights 2
    more, and 2 for their own gradients. To unpack 4-bit weights about doubles them. 0 where nothing
    is trained."""

    @property
    def brought(self) -> bool:
        """Its weights were fine-tuned before, by another program."""
        return self.fine_tuned and not self.trains

    @property
    def outside(self) -> bool:
        """Its weights are fine-tuned by another program, before its trials or in them."""
        return self.brought or self.commanded


PROMPT = KindInfo(
    name="prompt",
    label="prompt",
    meaning="the model as it is, told in words what to do (a prompt)",
    why="the instruction alone",
    trains=False,
    fine_tuned=False,
    commanded=False,
    language_model=True,
    adapts=False,
    quantises=False,
    operations=0.0,
)
CLASSIFIER = KindInfo(
    name="classifier",
    label="classifier",
    meaning="a classifier of words and characters, trained on the same examples, without any "
    "language model",
    why="what a classifier of a few megabytes does, without any language model",
    trains=False,
    fine_tuned=False,
    commanded=False,
    language_model=False,
    adapts=False,
    quantises=False,
    operations=0.0,
)
FULL = KindInfo(
    name="full",
    label="full fine-tuning",
    meaning="the model after all its weights were trained on examples of the task",
    why="every weight is trained",
    trains=True,
    fine_tuned=True,
    commanded=False,
    language_model=True,
    adapts=False,
    quantises=False,
    operations=6.0,
)
LORA = KindInfo(
    name="lora",
    label="LoRA",
    meaning="the model with a small set of added weights that were trained on examples of the task",
    why="a small adapter on the frozen model",
    trains=True,
    fine_tuned=True,
    commanded=False,
    language_model=True,
    adapts=True,
    quantises=False,
    operations=4.5,
)
QLORA = KindInfo(
    name="qlora",
    label="QLoRA",
    meaning="the same added weights, on a model shrunk to 4 bits so that it needs less memory",
    why="the adapter on a model shrunk to 4 bits, for its memory",
    trains=True,
    fine_tuned=True,
    commanded=False,
    language_model=True,
    adapts=True,
    quantises=True,
    operations=9.0,
)
BROUGHT = KindInfo(
    name="trained",
    label="trained elsewhere",
    meaning="the model with weights that were fine-tuned before, by another program",
    why="weights that were trained before",
    trains=False,
    fine_tuned=True,
    commanded=False,
    language_model=True,
    adapts=False,
    quantises=False,
    operations=0.0,
)
COMMAND = KindInfo(
    name="command",
    label="own training command",
    meaning="the model after a training program of your own was run on examples of the task",
    why="your own training program, searched and judged like the others",
    trains=True,
    fine_tuned=True,
    commanded=True,
    language_model=True,
    adapts=False,
    quantises=False,
    operations=0.0,
)
KINDS = (PROMPT, FULL, LORA, QLORA, BROUGHT, COMMAND, CLASSIFIER)
# Those that this program trains itself.
TRAINED_KINDS = tuple(kind for kind in KINDS if kind.trains and not kind.commanded)
_BY_NAME = {kind.name: kind for kind in KINDS}


def kind_info(name: str) -> KindInfo:
    """What arms of the kind do.

    Raises:
        KeyError: no kind has that name.
    """
    return _BY_NAME[name]


__all__ = [
    "BROUGHT",
    "CLASSIFIER",
    "COMMAND",
    "FULL",
    "KINDS",
    "LORA",
    "PROMPT",
    "QLORA",
    "TRAINED_KINDS",
    "KindInfo",
    "kind_info",
]
