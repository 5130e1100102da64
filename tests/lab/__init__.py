"""Short versions of the programs in lab/."""
