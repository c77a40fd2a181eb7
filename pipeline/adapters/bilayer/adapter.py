"""Bi-Layer is driven by 68 landmarks; of the source it sees the frame, its landmarks as a drawing, and a mask."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from model.baselines.bilayer.network import BiLayer, BiLayerConfig
from model.heads.head import HeadModel
from pipeline.adapters.bilayer.crop import pose_in, square_of
from pipeline.adapters.bilayer.stickman import draw
from pipeline.methods.own_crop import cut_out, drawn, landmarks_px, squares_and_poses
from pipeline.methods.placement import resized
from pipeline.methods.protocol import Driven, Table, View
from pipeline.methods.sizes import config_of
from pipeline.methods.squares import Square


class BiLayerAdapter:
    """See `pipeline.methods.protocol.Adapter`."""

    table: ClassVar[Table] = "landmarks"
    has_own_crop: ClassVar[bool] = True
    notes: ClassVar[tuple[str, ...]] = (
        "the source's mask is all ones, as nothing here segments people (its training had Graphonomy's)",
        "where it predicts no person the frame is black, which FID feels",
        "trained on VoxCeleb2 in a crop of its own, per frame",
    )

    def __init__(self, network: nn.Module, head: HeadModel | None) -> None:
        assert isinstance(network, BiLayer)  # as `build` makes it
        self._side = network.native_px

    @classmethod
    def build(cls, config: Mapping[str, Any], head: HeadModel | None) -> nn.Module:
        """The network of a config.json."""
        return BiLayer(config_of(BiLayerConfig, config))

    @classmethod
    def why_not_released(cls, fitted: Mapping[str, str]) -> str:
        """Nothing stands in the way."""
        return ""

    def drive(self, source: View, driving: View, same: Tensor, own_crop: bool = False) -> Driven:
        """The source with its drawing and mask, and both poses."""
        if own_crop:
            squares, poses_src = squares_and_poses(source, square_of, pose_in)
            places, poses_drv = squares_and_poses(driving, square_of, pose_in)
            images = cut_out(source, squares, self._side)
        else:
            poses_src, poses_drv = (self._pose(view) for view in (source, driving))
            images, places = resized(source.images(), (self._side, self._side)), None
        signals = {
            "source_landmarks": torch.from_numpy(poses_src).to(images),
            "driving_landmarks": torch.from_numpy(poses_drv).to(images),
            "stickman": drawn(draw(poses_src, self._side), images),
            "driving_stickman": drawn(draw(poses_drv, self._side), images),  # for its rival alone
            "mask": torch.ones_like(images[:, :1]),
        }
        return Driven(images, signals, places)

    def _pose(self, view: View) -> np.ndarray:
        """Landmarks (F, 68, 2) in [-1, 1] of the whole frame, as the networks take them."""
        height, width = view.size_hw
        whole = Square(0, 0, self._side)
        return pose_in(landmarks_px(view) * (self._side / width, self._side / height), whole)


ADAPTER = BiLayerAdapter
