"""Resolve, load and quantise models; say what is trainable. Nothing heavy is imported here."""
