"""Freely given instruments at work: which program runs them, where they look in an image, and what they read."""
