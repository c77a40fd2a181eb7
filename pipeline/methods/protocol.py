"""What a method needs to stand in the tables: an adapter between clips and its network.

Its network (`model.method.network.Network`) sees images of its native size and signals; the adapter makes both of
frames, fits and landmarks as the data stages know them. Everything else is the same for every method.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from torch import Tensor, nn

from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.method.network import Signals
from pipeline.methods.squares import Square

# Which table of fits a method reads: none; that of the head it was trained with; that of `bench.head`, for its
# landmarks, which mean the same whatever the head; or that of a named head, where it was not trained with another.
Table = Literal["", "own", "landmarks", "bfm"]


class View(Protocol):
    """F frames of clips as the data stages know them. Positions are ndc of the clip's frame (-1 and 1 are its edges).

    A window is a frame with its neighbours in the clip, oldest first. Beyond the clip's ends its first and last frames
    repeat; a neighbour without a fit is replaced by the nearest frame of the window that has one, the older of two.
    """

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the frames."""
        ...

    def images(self) -> Tensor:
        """The frames, (F, 3, H, W) RGB in [0, 1]."""
        ...

    def fit(self, before: int = 0, after: int = 0) -> HeadFit:
        """Fits of the frames' windows, F * (before + 1 + after) rows, a frame's window after the other."""
        ...

    def landmarks(self, before: int = 0, after: int = 0) -> Tensor:
        """The 68 landmarks of the frames' windows, (F * (before + 1 + after), 68, 2) ndc."""
        ...


@dataclass(frozen=True)
class Driven:
    """What a method's network is given for B pairs.

    Attributes:
        source: the frames that are animated, (B, 3, n, n) in [0, 1], of the network's size.
        signals: what drives.
        squares: where in the driving frame each made image belongs; None where it is the whole frame.
    """

    source: Tensor
    signals: Signals
    squares: tuple[Square, ...] | None = None


class Adapter(Protocol):
    """Between clips and a method's network; one instance a model, made of its filled network and its head.

    Attributes:
        table: the table of fits that views are opened with.
        has_own_crop: whether the system was trained on a crop of its own, in which it can be run as well.
        notes: what a reader of its row has to know (of the method; not of the weights).
    """

    table: ClassVar[Table]
    has_own_crop: ClassVar[bool]
    notes: ClassVar[tuple[str, ...]]

    def __init__(self, network: nn.Module, head: HeadModel | None) -> None: ...

    @classmethod
    def build(cls, config: Mapping[str, Any], head: HeadModel | None) -> nn.Module:
        """The network that a model's config.json describes, not yet filled, with the head it was trained with."""
        ...

    @classmethod
    def why_not_released(cls, fitted: Mapping[str, str]) -> str:
        """Why the released weights have no row where clips are fitted so; empty where they have one.

        Args:
            fitted: head -> the tracker that fits it.
        """
        ...

    def drive(self, source: View, driving: View, same: Tensor, own_crop: bool = False) -> Driven:
        """Make what the network is given.

        Args:
            source: B frames to animate.
            driving: B frames that drive them.
            same: (B,) bool, whether both show one person.
            own_crop: in the system's own crop instead of the clip's (only with `has_own_crop`).
        """
        ...
