"""Do the metrics move the right way? Frames are made worse step by step and measured against the unchanged ones."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from model.frame.coords import frames_to_tensor, tensor_to_frames
from model.heads.head import HeadModel
from model.heads.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from model.puppet_nets.judge import PuppetJudge
from model.puppet_nets.tracker import PuppetTracker
from pipeline.metrics.akd import KeypointDistance
from pipeline.metrics.backends.puppet_judge import PuppetJudgeBackend
from pipeline.metrics.backends.puppet_tracker import PuppetTrackerBackend
from pipeline.metrics.csim import CosineSimilarity
from pipeline.metrics.fid import frechet_distance
from pipeline.metrics.head_codes import ExpressionDistance, PoseDistance
from pipeline.metrics.l1 import AbsoluteError
from pipeline.puppet_training.augment import gaussian_blur
from pipeline.puppet_training.stage import Scene, Stage

SIZE = 64
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
BLUR_PX, SHIFT_PX, TURN_DEG = 3.0, 8.0, 24.0
UNITS = {
    "blur": f"Gaussian up to {BLUR_PX} px",
    "shift": f"to the right and down, up to {SHIFT_PX:.0f} px each",
    "wrong pose": f"head turned towards the other side, up to {TURN_DEG:.0f} degrees of yaw",
    "wrong expression": "expression, jaw and gaze moved up to those of another frame",
    "identity mixing": "shape, skin and features moved up to those of another person",
}
EXPECTED = {
    "blur": {"akd", "aed", "apd", "csim", "fid", "lpips", "l1"},
    "shift": {"akd", "fid", "lpips", "l1"},
    "wrong pose": {"akd", "apd", "lpips", "l1"},
    "wrong expression": {"akd", "aed", "lpips", "l1"},
    "identity mixing": {"akd", "csim", "lpips", "l1"},
}


def blurred(frames_u8: np.ndarray, step: float) -> np.ndarray:
    """Gaussian blur of (N, H, W, 3) frames."""
    img = frames_to_tensor(torch.from_numpy(frames_u8))
    return tensor_to_frames(gaussian_blur(img, torch.full((len(img),), BLUR_PX * step))).numpy()


def shifted(frames_u8: np.ndarray, step: float) -> np.ndarray:
    """Move (N, H, W, 3) frames right and down by whole pixels; the edge repeats."""
    px = round(SHIFT_PX * step)
    img = frames_to_tensor(torch.from_numpy(frames_u8))
    img = F.pad(img, (px, 0, px, 0), mode="replicate")[..., : img.shape[-2], : img.shape[-1]]
    return tensor_to_frames(img).numpy()


def rerendered(stage: Stage, scene: Scene, change: str, step: float) -> np.ndarray:
    """Render a scene's people again with another pose, expression or identity."""
    fit, people = scene.fit, scene.people
    if change == "wrong pose":
        fit = fit.replace(pose=turned(stage.head, fit.pose, step))
    elif change == "wrong expression":
        other = torch.arange(len(fit)).roll(1)
        pose = fit.pose.clone()
        pose[:, 3:] = torch.lerp(fit.pose[:, 3:], fit.pose[other, 3:], step)
        fit = fit.replace(expression=torch.lerp(fit.expression, fit.expression[other], step), pose=pose)
    else:
        people = [stage.mixed(a, b, step) for a, b in zip(people, people[1:] + people[:1], strict=True)]
        shapes = torch.stack([torch.from_numpy(p.identity.shape) for p in people]).float()
        fit = fit.replace(shape=shapes.repeat_interleave(len(fit) // len(people), 0))
    return stage.film(replace(scene, fit=fit, people=people))


def turned(head: HeadModel, pose: Tensor, step: float) -> Tensor:
    """Turn heads (B, 3J) about the vertical axis, left-turned ones to the right and the other way round."""
    yaw = head.yaw_pitch_roll_rad(pose)[:, 0]
    angle = -torch.sign(yaw) * np.radians(TURN_DEG) * step
    turn = axis_angle_to_matrix(torch.stack([torch.zeros_like(angle), angle, torch.zeros_like(angle)], -1))
    return torch.cat([matrix_to_axis_angle(turn @ head.head_rotation(pose)), pose[:, 3:]], -1)


def measure(
    judge: PuppetJudgeBackend, tracker: PuppetTrackerBackend, frames: np.ndarray, reference: np.ndarray
) -> dict[str, float]:
    """All metrics of frames against reference frames, as the tables compute them."""
    seen, known = judge.observe(frames), judge.observe(reference)
    result = {
        "akd": KeypointDistance(judge).compare(seen["landmarks_px"], known["landmarks_px"]).mean(),
        "csim": CosineSimilarity(judge).compare(seen["embedding"], known["embedding"]).mean(),
        "fid": frechet_distance(seen["pooled"], known["pooled"]),
        "lpips": judge.perceptual_distance(frames, reference).mean(),
        "l1": AbsoluteError(judge).compare(frames, reference).mean(),
    }
    seen, known = tracker.observe(frames), tracker.observe(reference)
    for reading in seen:
        head = reading.split(":")[1]
        result[f"aed[{head}]"] = ExpressionDistance(tracker).compare(seen[reading], known[reading]).mean()
        result[f"apd[{head}]"] = PoseDistance(tracker).compare(seen[reading], known[reading]).mean()
    return {name: float(value) for name, value in result.items()}


def validity_table(
    tracker: PuppetTracker, judge: PuppetJudge, heads: dict[str, HeadModel], seed: int, people: int, per_person: int
) -> list[dict]:
    """Measure every change at every step.

    Args:
        tracker: the network behind AED and APD.
        judge: the network behind the others.
        heads: both puppet heads by name.
        seed: of people of the validation range.
        people: number of people, each with one look.
        per_person: frames of each.

    Returns:
        One dict a change and metric: change, unit, metric, values (one a step), expected (this metric is
        there to notice this change) and monotone (it gets worse at every step).
    """
    stage = Stage(heads["puppet"], SIZE)
    scene = stage.scene(seed, people, per_person)
    reference = stage.film(scene)
    judge_backend = PuppetJudgeBackend(judge, torch.device("cpu"))
    tracker_backend = PuppetTrackerBackend(tracker, heads, 0.0, torch.device("cpu"))  # every frame shows a face
    rows = []
    for change, unit in UNITS.items():
        curves: dict[str, list[float]] = {}
        for step in STEPS:
            if step == 0:
                frames = reference
            elif change in ("blur", "shift"):
                frames = (blurred if change == "blur" else shifted)(reference, step)
            else:
                frames = rerendered(stage, scene, change, step)
            for metric, value in measure(judge_backend, tracker_backend, frames, reference).items():
                curves.setdefault(metric, []).append(round(value, 5))
        for metric, values in curves.items():
            worse = np.diff(values) * (-1 if metric == "csim" else 1)
            rows.append(
                {
                    "change": change,
                    "unit": unit,
                    "metric": metric,
                    "values": values,
                    "expected": metric.split("[")[0] in EXPECTED[change],
                    "monotone": bool((worse > 0).all()),
                }
            )
    return rows
