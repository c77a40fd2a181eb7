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
    """Compare one output with all that is stored of it: the array, or samples and statistics over its spatial axes.

    These are the last ones, as many as the stored statistics leave out: two, or three of a volume. In float64 the
    golden network's own noise is all that may remain.
    """
    precise = found.dtype == torch.float64
    tolerance = FLOAT64_NOISE * golden[f"{name}_noise"] if precise else golden[f"{name}_tolerance"]
    label = f"{name} in float64" if precise else name
    if name in golden:
        return [compare(label, found, golden[name], tolerance)]
    start, step = golden[f"{name}_slice"]
    taken, pixels = slice(int(start), None, int(step)), found.double().numpy()
    axes = tuple(range(golden[f"{name}_stats"].ndim - 1 - found.ndim, 0))
    statistics = np.stack([getattr(pixels, function)(axes) for function in STATISTICS], -1)
    return [
        compare(label, found[(..., *[taken] * len(axes))], golden[f"{name}_sub"], tolerance),
        compare(f"{label}, statistics", statistics, golden[f"{name}_stats"], tolerance),
    ]


def compared_all(found: Mapping[str, Tensor], golden: Mapping[str, np.ndarray]) -> list[Output]:
    """Compare several outputs by name."""
    return [output for name, value in found.items() for output in compared(name, value, golden)]


def check_complete(compared_names: set[str], golden: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError where not exactly the outputs that have a tolerance were compared; the message names them."""
    stored = {name.removesuffix("_tolerance") for name in golden if name.endswith("_tolerance")}
    if differing := sorted(stored ^ compared_names):
        raise ValueError(f"outputs that only one side has: {differing}")
