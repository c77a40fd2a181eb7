"""Train the puppet tracker: python -m pipeline.puppet_training.tracker --help."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from torch.nn import functional as F

from model.frame.alignment import align
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.heads.rotation import matrix_to_axis_angle
from model.puppet_nets.layers import read_network
from model.puppet_nets.tracker import CodeLayout, Codes, PuppetTracker
from pipeline.console import run_command, say
from pipeline.puppet_training.augment import (
    Augmented,
    Jitter,
    augment,
    move_camera,
    smear,
    without_face,
    without_precision,
)
from pipeline.puppet_training.crops import Crops, load_crops, puppet_heads
from pipeline.puppet_training.loop import Settings, optimise, training_facts
from pipeline.puppet_training.reduced import landmark_head

JITTER = Jitter(shift_ndc=0.05, log_scale=0.08, log_squeeze=0.05, colour=1.0)
WEIGHTS = {
    "landmarks": 15.0,  # mean distance per coordinate, ndc
    "reprojected": 10.0,  # the same for the fitted head's landmarks
    "rotation": 8.0,  # Frobenius norm of the difference, about 1.4 times the angle in radians
    "expression": 12.0,  # Huber loss of standardised codes
    "joints": 2.0,
    "shape": 0.7,
    "camera": 0.7,
    "face": 0.2,  # cross entropy
}


class TrackerLoss:
    """Everything a step needs: the network, targets of both heads, augmentation.

    Args:
        tracker: the network that is trained.
        heads: the full heads by name.
        crops: the training set.
        settings: seed and precision.
    """

    def __init__(self, tracker: PuppetTracker, heads: dict[str, HeadModel], crops: Crops, settings: Settings) -> None:
        self.tracker, self.crops, self.settings = tracker, crops, settings
        self.generator = torch.Generator().manual_seed(settings.seed + 1)
        self.cameras = {name: head.arrays.camera for name, head in heads.items()}
        self.reduced = {name: landmark_head(head.arrays) for name, head in heads.items()}
        self.targets = {name: target_codes(heads[name], crops.fits[name]) for name in heads}
        self.anchors = {name: self._anchors(name) for name in heads}
        self.weights = {name: self._effects(name) for name in heads}

    @torch.no_grad()
    def standardise(self) -> None:
        """Fill the network's means and deviations from the crops."""
        self.tracker.landmark_mean.copy_(self.crops.landmarks_ndc.mean(0).flatten())
        for name, codes in self.targets.items():
            for part, values in (("codes", torch.cat(codes[:3], -1)), ("camera", codes.camera)):
                std = values.std(0)
                self.tracker.get_buffer(f"{name}_{part}_mean").copy_(values.mean(0))
                self.tracker.get_buffer(f"{name}_{part}_std").copy_(torch.where(std > 1e-5, std, 0.0))

    def _posed_landmarks(self, name: str, codes: Codes) -> Tensor:
        pose = torch.cat([matrix_to_axis_angle(codes.rotation), codes.joints], -1)
        head = self.reduced[name]
        return head.landmarks_of(head.vertices(codes.shape, codes.expression, pose))

    @torch.no_grad()
    def _anchors(self, name: str) -> Tensor:
        """Mean of each crop's posed landmarks (N, 3), head units: what jitter keeps in place."""
        rows = torch.arange(len(self.crops)).split(4096)
        codes = self.targets[name]
        return torch.cat([self._posed_landmarks(name, Codes(*(c[r] for c in codes))).mean(1) for r in rows])

    def _effects(self, name: str) -> Tensor:
        """Weights (S,) of the shape codes, mean 1: how far one unit moves the landmarks."""
        head = self.reduced[name]
        moved = head.basis[: head.num_shape].unflatten(-1, (-1, 3)).norm(dim=-1).mean(-1)
        return 0.25 + 0.75 * moved / moved.mean()

    def __call__(self, rows: Tensor) -> dict[str, Tensor]:
        """Weighted losses of one batch of row numbers."""
        changed = augment(self.crops.images(rows), self.crops.landmarks_ndc[rows], 64, JITTER, self.generator)
        changed = replace(changed, img=smear(changed.img, self.generator))
        empty = without_face(changed.img[: len(rows) // 16], self.generator)
        img = torch.cat([changed.img, empty]).contiguous(memory_format=torch.channels_last)
        guess = without_precision(changed.landmarks_ndc, self.generator)
        aligned = align(changed.img, guess)
        aligned = aligned._replace(face=aligned.face.contiguous(memory_format=torch.channels_last))
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bfloat16):
            landmarks, logits, cameras = self.tracker.look(img)
            cameras = {name: camera[: len(rows)] for name, camera in cameras.items()}
            codes = self.tracker.read_face(aligned, cameras)
        count = len(rows)
        is_face = (torch.arange(len(img)) < count).float()
        losses = {
            "landmarks": (landmarks[:count] - changed.landmarks_ndc).abs().mean(),
            "face": F.binary_cross_entropy_with_logits(logits, is_face),
        }
        for name, found in codes.items():
            for term, value in self._head_losses(name, found, rows, changed).items():
                losses[term] = losses.get(term, 0.0) + value / len(codes)
        return {term: WEIGHTS[term] * value for term, value in losses.items()}

    def _head_losses(self, name: str, found: Codes, rows: Tensor, changed: Augmented) -> dict[str, Tensor]:
        true = Codes(*(c[rows] for c in self.targets[name]))
        camera = move_camera(
            true.camera, self.cameras[name], self.anchors[name][rows], changed.scale_xy, changed.shift_ndc
        )
        std = self.tracker.get_buffer(f"{name}_codes_std").clamp_min(1e-6).split(self.tracker.layouts[name].sizes)
        camera_std = self.tracker.get_buffer(f"{name}_camera_std")
        placed = self.reduced[name].project(self._posed_landmarks(name, found), found.camera)[..., :2]
        shape_error = (found.shape - true.shape).abs() / std[0]
        losses = {
            "reprojected": (placed - changed.landmarks_ndc).abs().mean(),
            "rotation": (found.rotation - true.rotation).flatten(1).norm(dim=1).mean(),
            # an absolute error would be least for 0: at any time most directions are at rest
            "expression": F.huber_loss(found.expression / std[1], true.expression / std[1]),
            "shape": (shape_error * self.weights[name]).mean(),
            "camera": ((found.camera - camera).abs() / camera_std).mean(),
        }
        if found.joints.shape[1]:
            losses["joints"] = ((found.joints - true.joints).abs() / std[2]).mean()
        return losses


def target_codes(head: HeadModel, fit: HeadFit) -> Codes:
    """True fits in the form that the network regresses."""
    return Codes(fit.shape, fit.expression, fit.pose[:, 3:], fit.camera, head.head_rotation(fit.pose))


def layout_of(head: HeadModel) -> CodeLayout:
    """Code lengths and rotation of a head."""
    return CodeLayout(head.num_shape, head.num_expression, head.num_pose, head.num_camera, head.arrays.rotation)


def train_tracker(
    crops: Crops, heads: dict[str, HeadModel], settings: Settings, report: Callable[[str], None], start: Path | None,
    face_only: bool = False,
) -> tuple[PuppetTracker, dict[str, float]]:  # fmt: skip
    """Train a tracker on crops; returns it in inference mode, and what `optimise` says.

    Args:
        crops: the training set.
        heads: both puppet heads by name.
        settings: see `Settings`.
        report: receives a line of text now and then.
        start: weights to continue from, or None.
        face_only: train only what reads codes and pose from the aligned face. The first trunk stays bit for bit, and
            with it landmarks, cameras and the perceptual loss.
    """
    if face_only and start is None:
        raise ValueError("--face-only continues a trained network: give --start")
    torch.manual_seed(settings.seed)
    tracker = PuppetTracker({name: layout_of(head) for name, head in heads.items()})
    if start:
        tracker.load_state_dict(read_network(start)[1])
    tracker = tracker.to(memory_format=torch.channels_last)
    loss = TrackerLoss(tracker, heads, crops, settings)
    if not face_only:
        loss.standardise()
        return tracker, optimise(tracker, len(crops), settings, loss, report)
    face = nn.ModuleList([tracker.face_trunk, tracker.face_neck, tracker.code_heads])
    tracker.eval().requires_grad_(False)
    face.requires_grad_(True)
    return tracker, optimise(face, len(crops), settings, loss, report)


def main(
    out: Annotated[Path, typer.Option(help="weights to write")],
    crops: Annotated[Path, typer.Option(help="folder of rendered crops")] = Path("data/scratch/puppet_crops"),
    start: Annotated[Path | None, typer.Option(help="weights to continue from, instead of random ones")] = None,
    minutes: Annotated[float, typer.Option(help="length of the run; its schedule follows the clock")] = 20.0,
    steps: Annotated[int | None, typer.Option(help="count steps instead: repeats a run exactly")] = None,
    batch: int = 64,
    learning_rate: float = 3e-3,
    weight_decay: float = 0.01,
    bfloat16: bool = True,
    seed: int = 1,
    face_only: Annotated[bool, typer.Option(help="train only what reads the aligned face")] = False,
) -> None:
    """Train the puppet tracker on crops that `pipeline.puppet_training.crops` has rendered."""
    torch.set_num_threads(1)
    settings = Settings(minutes, steps, batch, learning_rate, weight_decay, bfloat16, seed)
    heads = puppet_heads()
    rendered = load_crops(crops, heads)
    tracker, summary = train_tracker(rendered, heads, settings, say, start, face_only)
    facts = training_facts("tracker", settings, rendered.facts, summary, WEIGHTS, start)
    tracker.save(out, {**facts, "face_only": face_only})


if __name__ == "__main__":
    run_command(main)
