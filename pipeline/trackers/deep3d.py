"""The tracker `deep3d`: the Basel face from single images (sicxu/Deep3DFaceRecon_pytorch; docs/cards/deep3d.md)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from model.frame.coords import frames_to_tensor
from model.heads.fit import HeadFit
from model.trackers.deep3d import NUM_EXPRESSION, NUM_SHAPE, Deep3dRegressor, to_fit
from pipeline.trackers import deep3d_crop
from pipeline.trackers.deep3d_crop import Deep3dCrop
from pipeline.trackers.face_reader import FaceReader
from pipeline.trackers.face_tracker import FaceTracker


class Deep3dReader(FaceReader):
    """The regressor on Deep3DFaceRecon's crop."""

    title = "Deep3DFaceRecon"
    head_name = "bfm"
    num_codes = (NUM_SHAPE, NUM_EXPRESSION)
    asset = "deep3d"
    part = "net_recon"

    def build(self) -> Deep3dRegressor:
        """Make the regressor."""
        return Deep3dRegressor()

    def find_crop(self, landmarks_px: np.ndarray, size_hw: tuple[int, int]) -> Deep3dCrop:
        """Align the face's five points."""
        return deep3d_crop.find_crop(landmarks_px, size_hw)

    def cut(self, frames_u8: np.ndarray, crops: Sequence[Deep3dCrop]) -> tuple[Tensor, Tensor]:
        """Resize the frames and cut the crops out; see `FaceReader.cut`."""
        crops_u8 = np.stack([deep3d_crop.cut(frame, crop) for frame, crop in zip(frames_u8, crops, strict=True)])
        tracker_map = torch.from_numpy(np.stack([deep3d_crop.tracker_map(crop) for crop in crops]))
        return frames_to_tensor(torch.from_numpy(crops_u8).to(self.device)), tracker_map

    def to_fit(self, codes: Tensor, tracker_map: Tensor) -> HeadFit:
        """The Basel face's fit of coefficients (B, 257)."""
        return to_fit(codes, tracker_map)


class Deep3dTracker(FaceTracker):
    """Fits the Basel face."""

    reader_class = Deep3dReader
