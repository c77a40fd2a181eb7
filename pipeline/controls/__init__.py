"""Stage controls: rows that need no method."""
