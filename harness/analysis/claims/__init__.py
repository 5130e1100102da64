"""Claims that guides to fine-tuning make, checked on what was measured."""
