"""X2Face is driven by the driving frame itself."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from model.baselines.x2face.network import X2Face, X2FaceConfig
from model.heads.head import HeadModel
from pipeline.methods.placement import resized
from pipeline.methods.protocol import Driven, Table, View
from pipeline.methods.sizes import config_of


class X2FaceAdapter:
    """See `pipeline.methods.protocol.Adapter`. Its own crop, 1.6 times VGG's box of the face, is not rebuilt."""

    table: ClassVar[Table] = ""
    has_own_crop: ClassVar[bool] = False
    notes: ClassVar[tuple[str, ...]] = ("trained on a crop of its own (1.6 times a tight box), run in the shared one",)

    def __init__(self, network: nn.Module, head: HeadModel | None) -> None:
        assert isinstance(network, X2Face)  # as `build` makes it
        self._size = (network.native_px, network.native_px)

    @classmethod
    def build(cls, config: Mapping[str, Any], head: HeadModel | None) -> nn.Module:
        """The network of a config.json."""
        return X2Face(config_of(X2FaceConfig, config))

    @classmethod
    def why_not_released(cls, fitted: Mapping[str, str]) -> str:
        """Nothing stands in the way."""
        return ""

    def drive(self, source: View, driving: View, same: Tensor, own_crop: bool = False) -> Driven:
        """Both frames at the network's size."""
        return Driven(resized(source.images(), self._size), {"driving": resized(driving.images(), self._size)})


ADAPTER = X2FaceAdapter
