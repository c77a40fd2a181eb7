"""Stage weights: what each stage uses of the imported assets, by hash."""
