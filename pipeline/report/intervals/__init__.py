"""Intervals over people: variances, estimates, several tests at once, and whether the intervals cover."""
