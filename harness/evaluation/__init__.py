"""Scoring of candidates on lm-eval tasks."""
