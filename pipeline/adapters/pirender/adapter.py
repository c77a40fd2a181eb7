"""PIRender is driven by a window of a head's codes, of the driving frame and its neighbours.

The release knows Deep3DFaceRecon's coefficients of the Basel Face Model alone; what is trained here, those of the head
that it was trained with.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from model.baselines.pirender.network import PIRender, PIRenderConfig
from model.heads.head import HeadModel
from pipeline.adapters.pirender.codes import CROP, codes, num_codes
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
        if head is not None and network.config.coefficients != num_codes(head):
            raise ValueError(
                f"PIRender's config.json says {network.config.coefficients} coefficients a frame, but head {head.name} "
                f"has {num_codes(head)}"
            )
        self._size, self._trained_here = (network.native_px, network.native_px), head is not None

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
        """The source at the network's size, and the window's numbers; of the release as of frames of that size."""
        own = self._windows(driving)
        if not bool(same.all()):
            scale = own.shape[1] - CROP
            told = at_source_scale(own, self._numbers(source), scale)
            own = torch.where(same[:, None, None].to(own.device), own, told)
        signals = {"coefficients": own}
        if self._trained_here:
            signals["source_coefficients"] = self._windows(source)  # the lesson drives pairs both ways
        return Driven(resized(source.images(), self._size), signals)

    def _windows(self, view: View) -> Tensor:
        """Windows (B, numbers, 27), oldest frame first."""
        return self._numbers(view, REACH).unflatten(0, (-1, 2 * REACH + 1)).transpose(1, 2)

    def _numbers(self, view: View, reach: int = 0) -> Tensor:
        """Coefficients of the frames' windows, a frame's window after the other."""
        if self._trained_here:
            return codes(view.fit(reach, reach))
        return coefficients(view.fit(reach, reach), view.landmarks(reach, reach), self._size)


ADAPTER = PIRenderAdapter
