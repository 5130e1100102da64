"""What to do after a study."""
