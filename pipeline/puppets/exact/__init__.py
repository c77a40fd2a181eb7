"""Arithmetic of the puppets that gives the same bits on every processor, whatever its vector instructions."""
