"""Metrics of supplementary section 3: plug-ins over backends that look at images."""
