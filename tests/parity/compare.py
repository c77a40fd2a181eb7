"""How far an output lies from the golden one, and how far it may."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.parity.golden import Fixture


@dataclass(frozen=True)
class Output:
    """One compared output: largest absolute error (infinite where a value is not a number) and its tolerance."""

    name: str
    error: float
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.error <= self.tolerance

    @property
    def strain(self) -> float:
        """Error in tolerances: the largest is the fixture's worst output."""
        return self.error / self.tolerance if self.tolerance else np.inf if self.error else 0.0


Check = Callable[[Fixture], list[Output]]


def compare(name: str, found: object, golden: object, tolerance: float = 0.0) -> Output:
    """Compare arrays of equal shape; a tolerance of 0 asks for equality.

    Raises:
        ValueError: the shapes differ.
    """
    ours, theirs = np.asarray(found, np.float64), np.asarray(golden, np.float64)
    if ours.shape != theirs.shape:
        raise ValueError(f"{name} has shape {ours.shape}, the golden one {theirs.shape}")
    error = float(np.abs(ours - theirs).max()) if ours.size else 0.0
    return Output(name, error if np.isfinite(error) else np.inf, float(tolerance))


def worst(outputs: list[Output]) -> Output:
    """The output that strains its tolerance most."""
    return max(outputs, key=lambda output: (output.strain, output.error))


def at_the_fitting_seed(fixture: Fixture, check: Callable[[int], list[Output]]) -> list[Output]:
    """Outputs that depend on an image, at the seed that drew it: with another one every pixel differs."""
    return min((check(seed) for seed in fixture.image_seeds()), key=lambda outputs: worst(outputs).strain)
