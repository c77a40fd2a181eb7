"""Stage baseline: the models of published systems, released or trained here, in the form of all models."""
