"""How a method is taught: what the one training loop (model/training/loop.py) asks of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from model.method.network import Batch


@dataclass(frozen=True)
class ParamGroup:
    """Parameters that learn at one rate."""

    parameters: list[nn.Parameter]
    rate: float


@dataclass(frozen=True)
class StepLosses:
    """Losses of one step.

    Attributes:
        of: player -> the scalar that its parameters descend. Gradients that a loss has to another player's parameters
            are not asked for.
        terms: what these sums are made of, before weighting, for the training curve.
    """

    of: Mapping[str, Tensor]
    terms: Mapping[str, Tensor]


class Lesson(Protocol):
    """How a method is taught."""

    @property
    def network(self) -> nn.Module:
        """What is trained and kept as the model."""
        ...

    @property
    def rivals(self) -> nn.ModuleDict:
        """Further networks that learn beside it (discriminators); kept with the state of the run alone."""
        ...

    @property
    def fixed(self) -> nn.ModuleDict:
        """Networks that measure and do not learn."""
        ...

    def players(self) -> Mapping[str, list[ParamGroup]]:
        """Who learns what, in the order in which they step: each player has an optimiser of its own."""
        ...

    def losses(self, batch: Batch) -> StepLosses:
        """Measure one batch: a loss for every player, from one forward pass."""
        ...
