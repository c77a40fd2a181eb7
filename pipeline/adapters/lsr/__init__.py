"""LSR in the tables: what drives it, and its release."""
