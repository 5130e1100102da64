"""Metrics of `evaluate` that need no hub: a script each, as the library wants them."""
