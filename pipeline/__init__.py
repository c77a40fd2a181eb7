"""Data preparation, evaluation and reports around the networks of `model`."""

import model as model  # tames OpenMP before anything here imports torch
