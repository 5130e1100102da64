"""One training loop for full, LoRA and QLoRA. Nothing heavy is imported here."""
