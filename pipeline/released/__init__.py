"""Released files of published systems: recognised, and brought into one form that their networks load."""
