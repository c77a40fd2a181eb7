"""The one training loop, its processes, its resume file, and the losses that methods share."""
