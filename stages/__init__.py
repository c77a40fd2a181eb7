"""One command a DVC stage; all logic is in `pipeline`."""

import pipeline as pipeline  # tames OpenMP before anything here imports torch
