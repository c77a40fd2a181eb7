"""The tracker `deca`: FLAME from single images, as the paper fits it (yfeng95/DECA; docs/cards/deca.md)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from model.frame.coords import frames_to_tensor
from model.heads.fit import HeadFit
from model.trackers.deca import NUM_EXPRESSION, NUM_SHAPE, DecaEncoder, to_fit
from pipeline.trackers import deca_crop
from pipeline.trackers.face_reader import FaceReader
from pipeline.trackers.face_tracker import FaceTracker


class DecaReader(FaceReader):
    """The coarse encoder on DECA's crop."""

    title = "DECA"
    head_name = "flame"
    num_codes = (NUM_SHAPE, NUM_EXPRESSION)
    asset = "deca"
    part = "E_flame"

    def build(self) -> DecaEncoder:
        """Make the encoder."""
        return DecaEncoder()

    def find_crop(self, landmarks_px: np.ndarray, size_hw: tuple[int, int]) -> Tensor:
        """Find the similarity (1, 2, 3) from the frame to the crop."""
        return deca_crop.find_crop(torch.from_numpy(landmarks_px)[None])

    def cut(self, frames_u8: np.ndarray, crops: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Resample the frames, on the network's device; see `FaceReader.cut`."""
        to_crop = torch.cat(list(crops))
        img = frames_to_tensor(torch.from_numpy(frames_u8).to(self.device))
        return deca_crop.cut(img, to_crop), deca_crop.tracker_map(to_crop, frames_u8.shape[1:3])

    def to_fit(self, codes: Tensor, tracker_map: Tensor) -> HeadFit:
        """FLAME's fit of parameters (B, 236)."""
        return to_fit(codes, self.head, tracker_map)


class DecaTracker(FaceTracker):
    """Fits FLAME."""

    reader_class = DecaReader
