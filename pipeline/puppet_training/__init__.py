"""Training of the puppet tracker and the puppet judge; the pipeline itself uses only the shipped weights."""
