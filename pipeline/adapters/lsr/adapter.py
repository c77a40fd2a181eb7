"""LSR is driven by drawings of 68 landmarks, the source's and the driving frame's."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from model.baselines.lsr.network import Lsr, LsrConfig
from model.heads.head import HeadModel
from pipeline.adapters.lsr.contours import draw
from pipeline.adapters.lsr.crop import pose_in, square_of
from pipeline.methods.own_crop import cut_out, drawn, squares_and_poses
from pipeline.methods.placement import resized
from pipeline.methods.protocol import Driven, Table, View
from pipeline.methods.sizes import config_of


class LsrAdapter:
    """See `pipeline.methods.protocol.Adapter`."""

    table: ClassVar[Table] = "landmarks"
    has_own_crop: ClassVar[bool] = True
    notes: ClassVar[tuple[str, ...]] = (
        "trained on VoxCeleb2 (its authors; the paper says VoxCeleb1), in the crop in which VoxCeleb2 is released",
    )

    def __init__(self, network: nn.Module, head: HeadModel | None) -> None:
        assert isinstance(network, Lsr)  # as `build` makes it
        self._side = network.native_px

    @classmethod
    def build(cls, config: Mapping[str, Any], head: HeadModel | None) -> nn.Module:
        """The network of a config.json."""
        return Lsr(config_of(LsrConfig, config))

    @classmethod
    def why_not_released(cls, fitted: Mapping[str, str]) -> str:
        """Nothing stands in the way."""
        return ""

    def drive(self, source: View, driving: View, same: Tensor, own_crop: bool = False) -> Driven:
        """The source, and drawings of both poses."""
        if own_crop:
            squares, poses_src = squares_and_poses(source, square_of, pose_in)
            places, poses_drv = squares_and_poses(driving, square_of, pose_in)
            images = cut_out(source, squares, self._side)
        else:
            poses_src, poses_drv = (view.landmarks().double().cpu().numpy() for view in (source, driving))
            images, places = resized(source.images(), (self._side, self._side)), None
        signals = {
            "source_contour": drawn(draw(poses_src, self._side), images),
            "driving_contour": drawn(draw(poses_drv, self._side), images),
        }
        return Driven(images, signals, places)


ADAPTER = LsrAdapter
