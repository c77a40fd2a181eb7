"""How far the puppet networks are from the truth on people and looks that they never saw."""

import numpy as np
import torch
from torch import Tensor

from model.frame.coords import from_u8
from model.heads.head import HeadModel
from model.puppet_nets.judge import PuppetJudge
from model.puppet_nets.tracker import PuppetTracker
from pipeline.puppet_training.augment import without_face
from pipeline.puppet_training.crops import Crops

BATCH = 256
PX = 64  # landmark errors are told in pixels of a frame this size
ANGLES = ("yaw", "pitch", "roll")
YAW_GAP_DEG = 30.0


def spread(values: Tensor) -> dict[str, float]:
    """Mean, median and 95th percentile."""
    values = values.double().flatten()
    return {
        "mean": round(float(values.mean()), 4),
        "median": round(float(values.median()), 4),
        "p95": round(float(values.quantile(0.95)), 4),
    }


def landmark_error_px(found_ndc: Tensor, true_ndc: Tensor) -> dict[str, float]:
    """Distance of points (N, 68, 2) in pixels of a 64 px frame."""
    return spread((found_ndc - true_ndc).norm(dim=-1).mean(-1) * PX / 2)


def predict_all(tracker: PuppetTracker, crops: Crops, head_name: str) -> tuple[Tensor, ...]:
    """Fit every crop: shape, expression, pose, camera, landmarks, score, concatenated over batches."""
    parts = []
    for rows in torch.arange(len(crops)).split(BATCH):
        found = tracker.predict(from_u8(crops.images(rows)), head_name)
        parts.append((*(getattr(found.fit, f) for f in ("shape", "expression", "pose", "camera")), *found[1:]))
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def tracker_errors(tracker: PuppetTracker, crops: Crops, heads: dict[str, HeadModel]) -> dict:
    """Errors of both heads on crops with known truth.

    Returns:
        landmark errors (read directly, and of the fitted head), head angles in degrees, expression and
        shape codes per head, and the face score with and without a face. `aed` and `apd_deg` are the
        metrics' noise floors: mean absolute error of an expression code, and of the three angles.
    """
    result: dict = {}
    for name, head in heads.items():
        true = crops.fits[name]
        shape, expression, pose, camera, landmarks, score = predict_all(tracker, crops, name)
        fit = true.replace(shape=shape, expression=expression, pose=pose, camera=camera)
        placed = torch.cat([head.place_landmarks(fit[rows]) for rows in torch.arange(len(fit)).split(64)])
        gap = (head.yaw_pitch_roll_rad(pose) - head.yaw_pitch_roll_rad(true.pose)).rad2deg()
        angles = ((gap + 180) % 360 - 180).abs()
        # a tracker that has learnt nothing says the mean: the floor is read against this
        naive = (true.expression - true.expression.mean(0)).abs().mean()
        result[name] = {
            "aed": round(float((expression - true.expression).abs().mean()), 4),
            "aed_of_the_mean_code": round(float(naive), 4),
            "apd_deg": round(float(angles.mean()), 3),
            **{f"{angle}_deg": round(float(angles[:, i].mean()), 3) for i, angle in enumerate(ANGLES)},
            "expression_correlation": correlation(expression, true.expression),
            "shape_code": round(float((shape - true.shape).abs().mean()), 4),
            "shape_correlation": correlation(shape, true.shape),
            "fitted_landmarks_px": landmark_error_px(placed, crops.landmarks_ndc),
        }
    empty = without_face(from_u8(crops.images(torch.arange(min(BATCH, len(crops))))), torch.Generator().manual_seed(0))
    no_face = tracker.predict(empty, next(iter(heads))).score
    return {
        "landmarks_px": landmark_error_px(landmarks, crops.landmarks_ndc),
        "score_below_half_with_face": round(float((score < 0.5).float().mean()), 4),
        "score_above_half_without_face": round(float((no_face > 0.5).float().mean()), 4),
        "heads": result,
    }


def correlation(found: Tensor, true: Tensor) -> float:
    """Mean over code dimensions of the correlation between found and true codes (N, K)."""
    a, b = found - found.mean(0), true - true.mean(0)
    moving = b.norm(dim=0) > 1e-5
    ratio = (a * b).sum(0) / (a.norm(dim=0) * b.norm(dim=0)).clamp_min(1e-9)
    return round(float(ratio[moving].mean()), 4)


@torch.no_grad()
def judge_errors(judge: PuppetJudge, crops: Crops, head: HeadModel) -> dict:
    """Landmark errors and verification of people never seen.

    Every pair of crops is a trial. Looks (hair, clothes, background, light) differ between all crops of a
    person, so that no trial can be won by them.

    Returns:
        `landmarks_px`, and `auc`, `auc_yaw_gap_over_30` with the number of same-person trials and the mean
        cosines behind each.
    """
    landmarks, embeddings = [], []
    for rows in torch.arange(len(crops)).split(BATCH):
        img = from_u8(crops.images(rows))
        landmarks.append(judge.landmarks(img))
        embeddings.append(judge.embed(img))
    cosine = torch.cat(embeddings) @ torch.cat(embeddings).T
    yaw = head.yaw_pitch_roll_rad(crops.fits[head.name].pose)[:, 0].rad2deg()
    same = crops.person[:, None] == crops.person
    once = torch.ones_like(same).triu(1)
    apart = once & ((yaw[:, None] - yaw).abs() > YAW_GAP_DEG)
    return {
        "landmarks_px": landmark_error_px(torch.cat(landmarks), crops.landmarks_ndc),
        "verification": verification(cosine[once], same[once]),
        "verification_yaw_gap_over_30": verification(cosine[apart], same[apart]),
    }


def verification(cosine: Tensor, same: Tensor) -> dict[str, float]:
    """Area under the ROC curve of trials: the chance that a same-person trial scores above another."""
    return {
        "auc": round(auc(cosine[same].numpy(), cosine[~same].numpy()), 4),
        "same_trials": int(same.sum()),
        "other_trials": int((~same).sum()),
        "cosine_same": round(float(cosine[same].mean()), 4),
        "cosine_other": round(float(cosine[~same].mean()), 4),
    }


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Chance that a positive lies above a negative, ties counted half."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")
    return float(below.mean() / (2 * len(negative)))
