"""Watching a run from beside: pictures of what it makes, and scores of its states on held-out pairs."""
