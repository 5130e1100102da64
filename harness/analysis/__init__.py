"""From records to findings: pure functions that need no database, no GPU and no network."""
