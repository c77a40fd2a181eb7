"""PIRender is driven by a window of Deep3DFaceRecon's coefficients of the driving frame and its neighbours."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from model.baselines.pirender.network import PIRender, PIRenderConfig
from model.heads.head import HeadModel
from pipeline.adapters.pirender.coefficients import HEAD, REACH, TRACKER, at_source_scale, coefficients
from pipeline.methods.placement import resized
from pipeline.methods.protocol import Driven, Table, View
from pipeline.methods.sizes import config_of


class PIRenderAdapter:
    """See `pipeline.methods.protocol.Adapter`. The shared crop is its own."""

    table: ClassVar[Table] = "bfm"
    has_own_crop: ClassVar[bool] = False
    notes: ClassVar[tuple[str, ...]] = (
        "coefficients are Deep3DFaceRecon's in PyTorch, whose weights are other than those of the TensorFlow network "
        "that the released weights were trained with",
        "across identities the crop's scale follows the ratio of the pair's own two frames",
    )

    def __init__(self, network: nn.Module, head: HeadModel | None) -> None:
        assert isinstance(network, PIRender)  # as `build` makes it
        self._size = (network.native_px, network.native_px)

    @classmethod
    def build(cls, config: Mapping[str, Any], head: HeadModel | None) -> nn.Module:
        """The network of a config.json."""
        return PIRender(config_of(PIRenderConfig, config))

    @classmethod
    def why_not_released(cls, fitted: Mapping[str, str]) -> str:
        """It needs Deep3DFaceRecon's fits of the Basel Face Model."""
        if HEAD not in fitted:
            return f"it is driven by coefficients of head {HEAD}, and clips are fitted with {' and '.join(fitted)} here"
        if fitted[HEAD] != TRACKER:
            return f"it is driven by the coefficients of tracker {TRACKER}, and {fitted[HEAD]} fits head {HEAD} here"
        return ""

    def drive(self, source: View, driving: View, same: Tensor, own_crop: bool = False) -> Driven:
        """The source at the network's size, and the window's coefficients as of frames of that size."""
        frames = 2 * REACH + 1
        window = coefficients(driving.fit(REACH, REACH), driving.landmarks(REACH, REACH), self._size)
        of_source = coefficients(source.fit(), source.landmarks(), self._size)
        own = window.unflatten(0, (-1, frames)).transpose(1, 2)
        told = torch.where(same[:, None, None].to(own.device), own, at_source_scale(own, of_source))
        return Driven(resized(source.images(), self._size), {"coefficients": told})


ADAPTER = PIRenderAdapter
