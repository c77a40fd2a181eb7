"""Stage train: pairs, their augmentation, and one row of the tables."""
