"""What the checks of published generators share: inputs drawn by the folder's rule, outputs stored as samples."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from tests.parity.compare import Output, compare
from tests.parity.golden import Fixture
from tests.parity.regressors import FLOAT64_NOISE

PRECISIONS = (torch.float32, torch.float64)
STATISTICS = ("mean", "std", "min", "max")
INPUT_SAMPLES = slice(4, None, 8)
INPUT_TOLERANCE = 1e-6


def drawn(fixture: Fixture, name: str, size: int, low: float = 0.0) -> Tensor:
    """The rule's image NAME of the fixture, (1, 3, size, size) in [low, 1], float32 as the golden network saw it."""
    return torch.from_numpy(fixture.golden.fill.smooth_image(f"{fixture.name}/{name}", size, fixture.seed, low=low))


def compared_input(name: str, image: Tensor, golden: Mapping[str, np.ndarray]) -> Output:
    """Compare what goes in with the stored samples of it."""
    stored = golden[f"{name}_sub"]
    return compare(name, image[..., INPUT_SAMPLES, INPUT_SAMPLES], stored, INPUT_TOLERANCE)


def compared(name: str, found: Tensor, golden: Mapping[str, np.ndarray]) -> list[Output]:
    """Compare one output with all that is stored of it: the array, or samples and statistics over its last two axes.

    In float64 the golden network's own noise is all that may remain.
    """
    precise = found.dtype == torch.float64
    tolerance = FLOAT64_NOISE * golden[f"{name}_noise"] if precise else golden[f"{name}_tolerance"]
    label = f"{name} in float64" if precise else name
    if name in golden:
        return [compare(label, found, golden[name], tolerance)]
    start, step = golden[f"{name}_slice"]
    taken, pixels = slice(int(start), None, int(step)), found.double().numpy()
    statistics = np.stack([getattr(pixels, function)((-2, -1)) for function in STATISTICS], -1)
    return [
        compare(label, found[..., taken, taken], golden[f"{name}_sub"], tolerance),
        compare(f"{label}, statistics", statistics, golden[f"{name}_stats"], tolerance),
    ]
