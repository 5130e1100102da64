"""Instructions that a model writes: whether it is worth it, what is proposed and compared."""
