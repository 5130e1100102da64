"""Should we fine-tune, how, and what do we gain and lose against good prompting?"""

__version__ = "0.1.0"
