"""Stage heads, and the import of heads that others release."""
