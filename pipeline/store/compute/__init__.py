"""Where networks run, and how many batches at once."""
