"""The tracker `landmarks`: least squares on landmarks from a table; any head with 68 of them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model.frame.coords import apply_affine
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.trackers.landmark_fit import FitSettings, LandmarkFitter
from pipeline.params.fitting import FitParams
from pipeline.store.closure import code_sha256
from pipeline.store.landmark_table import LandmarkTable
from pipeline.store.provenance import sha256_text
from pipeline.trackers.protocol import (
    IDENTITY_MAP,
    ClipInfo,
    FitRows,
    TrackerUnavailable,
    judge,
    landmark_residual,
    unfitted,
)

TABLE = "landmarks.parquet"
FACE_SHARE = 0.7  # a perspective head's tracker frame (224 px a side) is so large that landmarks span this much


class LandmarkTracker:
    """Fits a head to the landmarks that `<data set's folder>/landmarks.parquet` holds.

    Convention: landmarks are seen in the clip's frame, so a squeezed crop is fitted squeezed, as the
    paper's trackers see it. The tracker frame is the clip frame; for a perspective head, a square around
    each frame's landmarks.
    """

    def __init__(self, head: HeadModel, params: FitParams, tables: Mapping[str, LandmarkTable]) -> None:
        self.head = head
        self.params = params
        self.tables = dict(tables)
        self.fitter = LandmarkFitter(head, FitSettings(**params.landmark_fit.model_dump()))
        self.weights_sha256 = ""
        tables_sha256 = {name: table.sha256 for name, table in self.tables.items()}
        settings = params.model_dump(exclude={"tracker", "second_tracker", "max_fail_rate"})
        code = code_sha256("pipeline.trackers.landmarks")
        self.fingerprint = sha256_text(head.sha256, settings, tables_sha256, code)

    @classmethod
    def open(
        cls, head: HeadModel, params: FitParams, folders: Mapping[str, Path], device: torch.device
    ) -> "LandmarkTracker":
        """Read the landmark tables of all data sets (see `Tracker.open`); it has no network, so any device will do."""
        return cls(head, params, {name: LandmarkTable(folder / TABLE) for name, folder in folders.items()})

    def fit_images(self, frames_u8: np.ndarray) -> FitRows:
        """Refuse: nobody has detected landmarks on these images."""
        raise TrackerUnavailable("the tracker `landmarks` reads a table of real frames; it cannot look at other images")

    def fit_clip(self, frames_u8: np.ndarray, info: ClipInfo) -> FitRows:
        """Fit the clip's frames by their rows in the table.

        Frames without a row (`no_landmarks`) or with a low score are not fitted, so that they cannot spoil
        the identity of the others; their codes are NaN.
        """
        seen = self.tables[info.dataset].look(info.person, info.video, info.frame_index)
        crop_map = torch.from_numpy(np.asarray(info.crop_map, np.float64))[None]
        landmarks = apply_affine(crop_map, torch.from_numpy(seen.landmarks_px))  # (T, 68, 2) clip ndc
        rows = unfitted(self.head, ["low_score" if found else "no_landmarks" for found in seen.found])
        rows.score[:] = seen.score
        rows.landmarks[:] = landmarks.numpy()
        usable = np.flatnonzero(seen.found & (seen.score >= self.params.min_score))
        if not len(usable):
            return rows
        fit = self._fit(landmarks[usable])
        for name in ("shape", "expression", "pose", "camera", "tracker_map"):
            getattr(rows.fit, name)[usable] = getattr(fit, name).float()
        rows.residual[usable] = landmark_residual(self.fitter.reduced, fit, landmarks[usable])
        for row, status in zip(usable, judge(seen.score[usable], rows.residual[usable], self.params), strict=True):
            rows.status[row] = status
        return rows

    def _fit(self, landmarks: Tensor) -> HeadFit:
        tracker_map = self._tracker_map(landmarks)
        scale, shift = tracker_map[:, [0]], tracker_map[:, [2, 5]]  # isotropic
        fitted = self.fitter.fit((landmarks - shift[:, None]) / scale[:, None], torch.ones(68, dtype=torch.bool))
        shape = fitted.shape.expand(len(landmarks), -1)
        return HeadFit(shape, fitted.expression, fitted.pose, fitted.camera, tracker_map)

    def _tracker_map(self, landmarks: Tensor) -> Tensor:
        """Tracker ndc -> clip ndc for each frame, (T, 6) float64."""
        maps = torch.tensor(IDENTITY_MAP, dtype=torch.float64).repeat(len(landmarks), 1)
        if self.head.perspective:
            low, high = landmarks.amin(1), landmarks.amax(1)
            maps[:, [0, 4]] = ((high - low).amax(1) / (2 * FACE_SHARE))[:, None]
            maps[:, [2, 5]] = (low + high) / 2
        return maps
