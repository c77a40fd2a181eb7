"""A method's network: what drives it, what it is shown, and what it makes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

# What drives a method, by name; the first axis of every tensor is B. The method's adapter makes it (fits, drawings,
# angles, the driving image itself), and nobody else looks inside.
Signals = Mapping[str, Tensor]


@dataclass(frozen=True)
class Batch:
    """B pairs of frames as a method takes them.

    Attributes:
        source: the frames that are animated, (B, 3, H, W) RGB in [0, 1].
        target: the driving frames, which are the ground truth, of the same form.
        signals: what drives.
        progress: share of the training that was done before this batch, in [0, 1); lessons in stages go by it.
        parts: what the pixels of `source` and of `target` show, each (B, H, W) uint8, numbers of
            `model.method.parts.PARTS`; None where the lesson asks for none.
    """

    source: Tensor
    target: Tensor
    signals: Signals
    progress: float = 0.0
    parts: tuple[Tensor, Tensor] | None = None

    def to(self, device: torch.device | str, layout: torch.memory_format = torch.contiguous_format) -> "Batch":
        """Copy everything to a device, and the images into a memory layout; pinned memory is not waited for."""

        def there(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=tensor.is_pinned())

        source, target = (there(img).contiguous(memory_format=layout) for img in (self.source, self.target))
        return Batch(
            source,
            target,
            {name: there(signal) for name, signal in self.signals.items()},
            self.progress,
            self.parts and (there(self.parts[0]), there(self.parts[1])),
        )

    def pin_memory(self) -> "Batch":
        """Copy everything to memory that a GPU reads directly."""
        signals = {name: signal.pin_memory() for name, signal in self.signals.items()}
        parts = self.parts and (self.parts[0].pin_memory(), self.parts[1].pin_memory())
        return Batch(self.source.pin_memory(), self.target.pin_memory(), signals, self.progress, parts)


@dataclass(frozen=True)
class Made:
    """What a method makes of B pairs.

    Attributes:
        image: the animated sources (B, 3, H, W), RGB, nominally in [0, 1]; who writes them as 8 bit clamps.
        panels: further images (B, 3, h, w) in [0, 1] that a contact sheet may show, by caption.
        own: whatever the method's own lesson and pictures need beside these; for nobody else.
    """

    image: Tensor
    panels: Mapping[str, Tensor] = field(default_factory=dict)
    own: Any = None


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
