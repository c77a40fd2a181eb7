"""The moving average of a network's weights over training, which makes steadier pictures than the last step's."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

AVERAGE = "average"  # in the players' part of a stored state, where there is one
STATISTICS = ("running_mean", "running_var")


class WeightAverage:
    """An exponential moving average: after each step, average = decay * average + (1 - decay) * weights.

    Averaged are parameters and the running statistics of normalisation, which belong to them. All else is copied:
    counters, and the vectors of spectral norm, of which an average would have a length below 1 and make every
    normalised weight too large.

    Args:
        network: whose weights; its state is read and never changed.
        decay: above 0 and below 1.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network, self.decay = network, decay
        self._average = {name: value.detach().clone() for name, value in network.state_dict().items()}
        averaged = {name for name, _ in network.named_parameters()}
        self._averaged = [n for n in self._average if n in averaged or n.rpartition(".")[2] in STATISTICS]
        self._copied = [name for name in self._average if name not in set(self._averaged)]

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights of another step in."""
        now = self._network.state_dict()
        torch._foreach_lerp_(
            [self._average[name] for name in self._averaged], [now[name] for name in self._averaged], 1 - self.decay
        )
        for name in self._copied:
            self._average[name].copy_(now[name])

    def state(self) -> dict[str, Tensor]:
        """The averaged weights, under the names that the network's have."""
        return self._average

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take over a state of `state`."""
        for name, value in self._average.items():
            value.copy_(state[name])

    def fill(self, network: nn.Module) -> None:
        """Give a network of the same kind the averaged weights."""
        network.load_state_dict(self._average)


def weights_in(state: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """The weights that a run would end with if a stored state were its last."""
    players = state["players"]
    found: Mapping[str, Tensor] = players.get(AVERAGE) or players["network"]
    return found
