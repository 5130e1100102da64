"""A model in memory as an lm-eval model."""
