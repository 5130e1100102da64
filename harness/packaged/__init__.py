"""Files that travel in Python packages: models and data sets, fetched once."""
