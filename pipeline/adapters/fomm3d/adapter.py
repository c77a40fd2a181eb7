"""3D-FOMM is driven by the driving frame itself: its pose and expression, on the source's canonical keypoints."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from model.baselines.fomm3d.network import Fomm3d, Fomm3dConfig
from model.heads.head import HeadModel
from pipeline.methods.placement import resized
from pipeline.methods.protocol import Driven, Table, View
from pipeline.methods.sizes import config_of


class Fomm3dAdapter:
    """See `pipeline.methods.protocol.Adapter`. The shared crop is its own."""

    table: ClassVar[Table] = ""
    has_own_crop: ClassVar[bool] = False
    notes: ClassVar[tuple[str, ...]] = (
        "the unofficial implementation that the paper compares with; the authors' own was never published",
    )

    def __init__(self, network: nn.Module, head: HeadModel | None) -> None:
        assert isinstance(network, Fomm3d)  # as `build` makes it
        self._size = (network.native_px, network.native_px)

    @classmethod
    def build(cls, config: Mapping[str, Any], head: HeadModel | None) -> nn.Module:
        """The network of a config.json."""
        return Fomm3d(config_of(Fomm3dConfig, config))

    @classmethod
    def why_not_released(cls, fitted: Mapping[str, str]) -> str:
        """Nothing stands in the way."""
        return ""

    def drive(self, source: View, driving: View, same: Tensor, own_crop: bool = False) -> Driven:
        """Both frames at the network's size."""
        return Driven(resized(source.images(), self._size), {"driving": resized(driving.images(), self._size)})


ADAPTER = Fomm3dAdapter
