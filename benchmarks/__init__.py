"""Scripts that measure: `python -m benchmarks.NAME` writes reports/benchmarks/NAME.{json,md}."""

import model as model  # tames OpenMP before a script imports torch
