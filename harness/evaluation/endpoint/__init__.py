"""A model behind a server as an lm-eval model."""
