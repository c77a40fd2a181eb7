"""Systems that are driven by the driving frame itself: what FOMM, 3D-FOMM and X2Face have in common."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from model.heads.head import HeadModel
from pipeline.methods.placement import resized
from pipeline.methods.protocol import Driven, Table, View
from pipeline.methods.sizes import config_of


class ImageDriven:
    """See `pipeline.methods.protocol.Adapter`; a system says which network it has, and what a reader has to know.

    Attributes:
        kind, config: class of the network, which takes the signal `driving`, and of its configuration.
    """

    table: ClassVar[Table] = ""
    has_own_crop: ClassVar[bool] = False
    notes: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[type[nn.Module]]
    config: ClassVar[type[Any]]

    def __init__(self, network: nn.Module, head: HeadModel | None) -> None:
        side = int(network.native_px)  # type: ignore[arg-type]  # every network has one
        self._size = (side, side)

    @classmethod
    def build(cls, config: Mapping[str, Any], head: HeadModel | None) -> nn.Module:
        """The network of a config.json."""
        return cls.kind(config_of(cls.config, config))

    @classmethod
    def why_not_released(cls, fitted: Mapping[str, str]) -> str:
        """Nothing stands in the way: frames are all that it needs."""
        return ""

    def drive(self, source: View, driving: View, same: Tensor, own_crop: bool = False) -> Driven:
        """Both frames at the network's size."""
        return Driven(resized(source.images(), self._size), {"driving": resized(driving.images(), self._size)})
