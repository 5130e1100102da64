"""The story of the read half: from the store to findings."""
