"""From task and shots to tokens: the one renderer that training and scoring share."""

from harness.prompting.render import PromptRenderer
from harness.prompting.shots import ShotSelector
from harness.prompting.tokenised import TokenisedExample, as_conversations

__all__ = ["PromptRenderer", "ShotSelector", "TokenisedExample", "as_conversations"]
