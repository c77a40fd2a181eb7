"""Sections of `networks.<recipe>`: a file a method."""
