"""Overfitting, learning curves, memorisation and leakage."""
