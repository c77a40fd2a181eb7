"""What the published trackers have in common: landmarks by FAN, a crop around them, a network that reads the crop."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from model.frame.coords import px_to_ndc
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from pipeline.store.assets import hash_of, require
from pipeline.store.closure import code_sha256
from pipeline.store.compute.devices import full_precision
from pipeline.store.provenance import sha256_text
from pipeline.trackers.fan import Faces, LandmarkFinder, find_fan
from pipeline.trackers.protocol import OK, FitRows, TrackerUnavailable, unfitted
from pipeline.trackers.released import load_released

_BATCH = {"cpu": 16, "cuda": 64}  # crops a pass


class FaceReader(ABC):
    """Reads one head's codes from images, each by itself.

    Attributes:
        title: the tracker's name, for messages.
        head_name: the one head that its codes belong to.
        num_codes: how many identity and expression codes that head must have.
        asset: key of its weights in `pipeline.assets.ASSETS`.
        part: key of the network's state in the released file.
        weights_sha256: of the released file.
        fingerprint: hash of all that its results depend on.
    """

    title: ClassVar[str]
    head_name: ClassVar[str]
    num_codes: ClassVar[tuple[int, int]]
    asset: ClassVar[str]
    part: ClassVar[str]

    def __init__(self, head: HeadModel, finder: LandmarkFinder, weights: Path, device: torch.device) -> None:
        self.check_head(head.name)
        if (head.num_shape, head.num_expression) != self.num_codes:
            raise TrackerUnavailable(
                f"{self.title} fits a head {self.head_name!r} of {self.num_codes[0]} identity and {self.num_codes[1]} "
                f"expression codes; this one has {head.num_shape} and {head.num_expression}: import it again"
            )
        self.head, self.finder, self.device = head, finder, device
        self.network = load_released(self.build, weights, self.part).to(device)
        self.weights_sha256 = hash_of(weights)
        code = code_sha256(type(self).__module__)
        self.fingerprint = sha256_text(head.sha256, self.weights_sha256, finder.fingerprint, device.type, code)

    @classmethod
    def check_head(cls, name: str) -> None:
        """Refuse a head that the tracker is not for.

        Raises:
            TrackerUnavailable: the message names the head that it is for.
        """
        if name != cls.head_name:
            raise TrackerUnavailable(f"{cls.title} fits the head {cls.head_name!r}, not {name!r}")

    @classmethod
    def open(cls, head: HeadModel, device: torch.device) -> "FaceReader":
        """Open the reader with the imported weights.

        Raises:
            TrackerUnavailable: the head is another one.
            AssetMissing: the tracker's, FAN's or S3FD's weights have not been imported; the message says how.
            ValueError: a file of weights is not what was released.
        """
        cls.check_head(head.name)
        weights = require(cls.asset)
        return cls(head, find_fan(device), weights, device)

    def read(self, frames_u8: np.ndarray, min_score: float) -> FitRows:
        """Find the faces of (N, H, W, 3) uint8 RGB frames and read them; see `read_faces`."""
        return self.read_faces(frames_u8, self.finder.look(frames_u8), min_score)

    @torch.no_grad()
    def read_faces(self, frames_u8: np.ndarray, faces: Faces, min_score: float) -> FitRows:
        """Read (N, H, W, 3) uint8 RGB frames whose faces are known.

        Returns:
            Rows that are `ok`, or not fitted: `no_landmarks` (no face was found), `low_score` (it was found with less
            than `min_score`) or `no_crop` (its landmarks span nothing). Residuals are NaN.
        """
        size_hw = frames_u8.shape[1:3]
        rows = unfitted(self.head, [OK if found else "no_landmarks" for found in faces.found])
        rows.score[:] = faces.score
        rows.landmarks[:] = px_to_ndc(torch.from_numpy(faces.landmarks_px), size_hw).numpy()
        usable, crops = [], []
        for row in np.flatnonzero(faces.found):
            if faces.score[row] < min_score:
                rows.status[row] = "low_score"
                continue
            try:
                crops.append(self.find_crop(faces.landmarks_px[row], size_hw))
            except ValueError:
                rows.status[row] = "no_crop"
                continue
            usable.append(int(row))
        step = _BATCH[self.device.type]
        for start in range(0, len(usable), step):
            part = usable[start : start + step]
            img, tracker_map = self.cut(frames_u8[part], crops[start : start + step])
            with full_precision(self.device):
                codes = self.network(img.to(self.device)).cpu()
            fit = self.to_fit(codes, tracker_map)
            for name in ("shape", "expression", "pose", "camera", "tracker_map"):
                getattr(rows.fit, name)[part] = getattr(fit, name)
        return rows

    @abstractmethod
    def build(self) -> nn.Module:
        """Make the network, untrained."""

    @abstractmethod
    def find_crop(self, landmarks_px: np.ndarray, size_hw: tuple[int, int]) -> Any:
        """Find the published crop around landmarks (68, 2) of an (H, W) frame; ValueError where there is none."""

    @abstractmethod
    def cut(self, frames_u8: np.ndarray, crops: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """Cut B of them out of their frames: the network's input (B, 3, 224, 224) and `HeadFit.tracker_map` (B, 6)."""

    @abstractmethod
    def to_fit(self, codes: Tensor, tracker_map: Tensor) -> HeadFit:
        """Turn what the network gives for B crops into fits."""
