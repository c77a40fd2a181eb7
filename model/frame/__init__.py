"""The image frame: its conventions, the one sampler, and cutting a face out of it."""
