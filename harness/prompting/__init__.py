"""From task and shots to tokens: the one renderer that training and scoring share."""

from harness.prompting.render import PromptRenderer, TokenisedExample
from harness.prompting.shots import ShotSelector

__all__ = ["PromptRenderer", "ShotSelector", "TokenisedExample"]
