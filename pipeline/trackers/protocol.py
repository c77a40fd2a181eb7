"""What a head tracker is: it turns a clip's frames into rows of fitted head parameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from model.frame.coords import apply_affine
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.trackers.landmark_head import LandmarkHead
from pipeline.params.fitting import FitParams

OK = "ok"
IDENTITY_MAP = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


class TrackerUnavailable(RuntimeError):
    """A tracker cannot do what is asked; the message is the reason that a table prints beside its dash."""


@dataclass(frozen=True)
class ClipInfo:
    """Which frames a clip consists of.

    Attributes:
        clip, dataset, person, video: names, as in the clip index.
        frame_index: source-video frame number of each of the clip's T frames.
        crop_map: 6 numbers, row-major map from source-video px to clip ndc.
    """

    clip: str
    dataset: str
    person: str
    video: str
    frame_index: list[int]
    crop_map: list[float]


@dataclass(frozen=True)
class FitRows:
    """T fitted frames.

    Attributes:
        status: "ok" or the reason why the row is not to be used.
        score: (T,) the tracker's confidence, 0 to 1; NaN where it saw nothing.
        residual: (T,) see `landmark_residual`; NaN where there is no fit.
        fit: T rows, float32 on the CPU; NaN where there is no fit.
        landmarks: (T, 68, 2) the landmarks that were seen, clip ndc.
    """

    status: list[str]
    score: np.ndarray
    residual: np.ndarray
    fit: HeadFit
    landmarks: np.ndarray


class Tracker(Protocol):
    """Fits one head.

    Attributes:
        head: the head it fits.
        weights_sha256: hash of the network's weights, empty where there is none.
        fingerprint: hash of all that its results depend on besides the clip.
    """

    head: HeadModel
    weights_sha256: str
    fingerprint: str

    @classmethod
    def open(cls, head: HeadModel, params: FitParams, folders: Mapping[str, Path], device: torch.device) -> "Tracker":
        """Load what it needs.

        Args:
            head: the head to fit.
            params: thresholds and settings.
            folders: where each data set's files lie, by the data set's name.
            device: where its network runs, if it has one; another kind than the CPU is in the fingerprint.

        Raises:
            TrackerUnavailable, AssetMissing, FileNotFoundError, ValueError: it cannot run; the message says what is
                missing.
        """
        ...

    def fit_clip(self, frames_u8: np.ndarray, info: ClipInfo) -> FitRows:
        """Fit the frames (T, H, W, 3) uint8 RGB of one clip."""
        ...

    def fit_images(self, frames_u8: np.ndarray) -> FitRows:
        """Fit images (N, H, W, 3) that belong to no known clip, such as generated ones.

        Raises:
            TrackerUnavailable: it needs more than the image.
        """
        ...


class SeesFaces(Tracker, Protocol):
    """A tracker that looks for faces first, which trackers of other heads may have found already.

    Attributes:
        finder_fingerprint: hash of all that the faces depend on.
    """

    @property
    def finder_fingerprint(self) -> str:
        """See above."""
        ...

    def find_faces(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Find the faces of frames (T, H, W, 3) uint8 RGB: arrays of T rows by name."""
        ...

    def fit_faces(self, frames_u8: np.ndarray, seen: Mapping[str, np.ndarray]) -> FitRows:
        """Fit frames given their faces."""
        ...


def unfitted(head: HeadModel, status: list[str]) -> FitRows:
    """Rows without a fit: NaN but for their status."""

    def nothing(*shape: int) -> Tensor:
        return torch.full((len(status), *shape), torch.nan)

    fit = HeadFit(*(nothing(n) for n in (head.num_shape, head.num_expression, head.num_pose, head.num_camera, 6)))
    return FitRows(status, nothing().numpy(), nothing().numpy(), fit, nothing(68, 2).numpy())


def place_landmarks(reduced: LandmarkHead, fit: HeadFit) -> Tensor:
    """Place the fitted head's landmarks in the clip frame, (T, 68, 2) ndc, without posing the whole mesh."""
    fit = fit.to(torch.float64)
    return apply_affine(fit.tracker_map, reduced.points(fit.shape, fit.expression, fit.pose, fit.camera))


def landmark_residual(reduced: LandmarkHead, fit: HeadFit, landmarks: Tensor) -> np.ndarray:
    """Distance between a fitted head's landmarks and the seen ones.

    Returns:
        (T,) root mean square over the 51 landmarks off the contour, as a share of the distance between
        points 36 and 45 that the fitted head would show in frontal view.
    """
    distance = (place_landmarks(reduced, fit) - landmarks)[:, 17:].norm(dim=-1)
    frontal = fit.pose.clone()
    frontal[:, :3] = 0.0
    eyes = place_landmarks(reduced, fit.replace(pose=frontal))
    return (distance.square().mean(1).sqrt() / (eyes[:, 36] - eyes[:, 45]).norm(dim=-1)).numpy()


def judge(score: np.ndarray, residual: np.ndarray, params: FitParams) -> list[str]:
    """Give each fitted row its status: ok, low_score, high_residual or diverged (not finite)."""
    checks = ((~np.isfinite(residual), "diverged"), (score < params.min_score, "low_score"),
              (residual > params.max_residual, "high_residual"))  # fmt: skip
    status = [OK] * len(score)
    for bad, reason in checks:
        status = [reason if b and s == OK else s for b, s in zip(bad, status, strict=True)]
    return status
