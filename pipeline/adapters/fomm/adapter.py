"""FOMM is driven by the driving frame itself."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from model.baselines.fomm.network import Fomm, FommConfig
from model.heads.head import HeadModel
from pipeline.methods.placement import resized
from pipeline.methods.protocol import Driven, Table, View
from pipeline.methods.sizes import config_of


class FommAdapter:
    """See `pipeline.methods.protocol.Adapter`. The shared crop is FOMM's own."""

    table: ClassVar[Table] = ""
    has_own_crop: ClassVar[bool] = False
    notes: ClassVar[tuple[str, ...]] = (
        "keypoints are absolute, for identities that differ too: a pair has no first driving frame to be relative to",
    )

    def __init__(self, network: nn.Module, head: HeadModel | None) -> None:
        assert isinstance(network, Fomm)  # as `build` makes it
        self._size = (network.native_px, network.native_px)

    @classmethod
    def build(cls, config: Mapping[str, Any], head: HeadModel | None) -> nn.Module:
        """The network of a config.json."""
        return Fomm(config_of(FommConfig, config))

    @classmethod
    def why_not_released(cls, fitted: Mapping[str, str]) -> str:
        """Nothing stands in the way."""
        return ""

    def drive(self, source: View, driving: View, same: Tensor, own_crop: bool = False) -> Driven:
        """Both frames at the network's size."""
        return Driven(resized(source.images(), self._size), {"driving": resized(driving.images(), self._size)})


ADAPTER = FommAdapter
