"""The story of a study: what is planned, searched, run and kept."""
