"""X2Face in the tables: what drives it, and its release."""
