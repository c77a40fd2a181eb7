"""Rows of anybody's own method: the frames that users bring, and their scores."""
