"""Suites of lm-eval tasks: found, read, extended and mirrored."""
