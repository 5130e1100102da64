"""Writes a first experiment file for a data file, with a reason for each choice."""
