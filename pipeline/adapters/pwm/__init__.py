"""The PWM in the tables: what drives it."""
