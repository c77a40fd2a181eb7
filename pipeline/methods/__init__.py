"""What every method has in common: how it is driven, run, and brought back into the clip's frame."""
