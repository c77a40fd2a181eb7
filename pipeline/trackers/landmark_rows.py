"""From landmarks of a clip's frames to rows of fits: what the trackers that fit landmarks have in common.

Convention: landmarks are seen in the clip's frame, so a squeezed crop is fitted squeezed, as the paper's trackers see
it. The tracker frame is the clip frame; for a perspective head, a square around each frame's landmarks.
"""

import numpy as np
import torch
from torch import Tensor

from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.trackers.landmark_fit import FitSettings, LandmarkFitter
from pipeline.params.fitting import FitParams, LandmarkFitParams
from pipeline.trackers.protocol import IDENTITY_MAP, FitRows, judge, landmark_residual, unfitted

FACE_SHARE = 0.7  # a perspective head's tracker frame (224 px a side) is so large that landmarks span this much


class LandmarkRows:
    """Fits one head to landmarks.

    Args:
        head: the head.
        settings: of the least-squares fitter.
    """

    def __init__(self, head: HeadModel, settings: LandmarkFitParams) -> None:
        self.head = head
        self.fitter = LandmarkFitter(head, FitSettings(**settings.model_dump()))

    def of_frames(
        self, landmarks: Tensor, score: np.ndarray, found: np.ndarray, params: FitParams, *, one_person: bool
    ) -> FitRows:
        """Fit the frames of one clip, or images that have nothing to do with each other.

        Frames without landmarks (`no_landmarks`) or with a low score are not fitted, so that they cannot spoil
        the identity of the others; their codes are NaN.

        Args:
            landmarks: (T, 68, 2) clip ndc, float64.
            score: (T,) of the detector.
            found: (T,) bool, frames that have landmarks.
            params: thresholds.
            one_person: whether the frames share an identity.
        """
        rows = unfitted(self.head, ["low_score" if seen else "no_landmarks" for seen in found])
        rows.score[:] = score
        rows.landmarks[:] = landmarks.numpy()
        usable = np.flatnonzero(found & (score >= params.min_score))
        if not len(usable):
            return rows
        fit = self.fit(landmarks[usable], one_person=one_person)
        for name in ("shape", "expression", "pose", "camera", "tracker_map"):
            getattr(rows.fit, name)[usable] = getattr(fit, name).float()
        rows.residual[usable] = landmark_residual(self.fitter.reduced, fit, landmarks[usable])
        for row, status in zip(usable, judge(score[usable], rows.residual[usable], params), strict=True):
            rows.status[row] = status
        return rows

    def fit(self, landmarks: Tensor, *, one_person: bool) -> HeadFit:
        """Fit landmarks (T, 68, 2) in clip ndc, float64, of frames that share an identity or do not; float64."""
        tracker_map = self._tracker_map(landmarks)
        scale, shift = tracker_map[:, [0]], tracker_map[:, [2, 5]]  # isotropic
        solve = self.fitter.fit if one_person else self.fitter.fit_each
        fitted = solve((landmarks - shift[:, None]) / scale[:, None], torch.ones(68, dtype=torch.bool))
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
