"""A first experiment for a file: what it is for, what this machine can do, each with its reason."""
