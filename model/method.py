"""What every method of face animation looks like to the rest of the project."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

# What drives a method, by name; the first axis of every tensor is B. The method's adapter makes it (drawings, angles,
# coefficients, the driving image itself), and nobody else looks inside.
Signals = Mapping[str, Tensor]


@dataclass(frozen=True)
class Made:
    """What a method makes of B pairs.

    Attributes:
        image: the animated sources (B, 3, H, W), RGB, nominally in [0, 1]; who writes them as 8 bit clamps.
        panels: further images (B, 3, h, w) in [0, 1] that a contact sheet may show, by caption.
        own: whatever the method's own losses need beside these; for nobody else.
    """

    image: Tensor
    panels: Mapping[str, Tensor] = field(default_factory=dict)
    own: object = None


class Network(Protocol):
    """A method's network, an `nn.Module` whose state dict is the checkpoint.

    Attributes:
        config: a frozen record of plain values, from which the network is built again.
        native_px: side of the square images that it was trained on; 0 where it takes any size.
    """

    config: Any
    native_px: int

    def __call__(self, source: Tensor, signals: Signals) -> Made:
        """Animate B sources (B, 3, H, W) in [0, 1], of the native size where there is one."""
        ...
