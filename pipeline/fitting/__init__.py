"""Stage fit: a 3-D head for every frame, and a report of how well."""
