"""The puppet tracker: one small network that reads head codes, pose, camera and landmarks from an image.

It stands where DECA (FLAME) and Deep3DFaceRecon (BFM) stand in the paper: its fits drive the generator,
AED and APD are measured with it, and its trunk is the backbone of the perceptual loss.

Legend: S identity codes beta, E expression codes psi, P pose numbers theta, C camera numbers.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from model.frame.alignment import ALIGNED_PX, Aligned, align
from model.heads.fit import HeadFit
from model.heads.rotation import euler_to_matrix, matrix_to_axis_angle, matrix_to_yaw_pitch_roll
from model.puppet_nets.layers import (
    Trunk,
    file_sha256,
    freeze,
    read_network,
    resize_images,
    rotation_from_6d,
    save_network,
)

INPUT_PX = 64
WIDTHS = (16, 32, 48, 96, 96)
STRIDES = (2, 2, 2, 2, 1)
RESIDUAL = (False, True, True, True, False)
FACE_WIDTHS = (24, 32, 48, 96)
FACE_STRIDES = (2, 1, 2, 2)
FACE_RESIDUAL = (False, False, True, True)
IDENTITY_6D = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True)
class CodeLayout:
    """How many numbers a head's fit has, and how its root rotation is written.

    Attributes:
        num_shape, num_expression, num_pose, num_camera: as in `HeadModel`.
        rotation: "axis_angle" or "deep3d_euler".
    """

    num_shape: int
    num_expression: int
    num_pose: int
    num_camera: int
    rotation: str

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Lengths of the codes that are read from the face: shape, expression, joints after the root."""
        return self.num_shape, self.num_expression, self.num_pose - 3


class Codes(NamedTuple):
    """One head's codes as the network regresses them: the root rotation is a matrix.

    Attributes: shape (B, S), expression (B, E), joints (B, P - 3) axis-angle radians of the joints after
    the root, camera (B, C), rotation (B, 3, 3).
    """

    shape: Tensor
    expression: Tensor
    joints: Tensor
    camera: Tensor
    rotation: Tensor


class Prediction(NamedTuple):
    """What `PuppetTracker.predict` returns.

    Attributes: fit (rows of the named head), landmarks_ndc (B, 68, 2) read directly from the image, and
    score (B,) in [0, 1], the network's belief that the image shows a face.
    """

    fit: HeadFit
    landmarks_ndc: Tensor
    score: Tensor


def flat_neck(channels: int, squeezed: int, side: int, hidden: int) -> nn.Sequential:
    """Feature map (B, channels, side, side) -> (B, hidden), positions kept apart."""
    return nn.Sequential(
        nn.Conv2d(channels, squeezed, 1, bias=False),
        nn.BatchNorm2d(squeezed),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(squeezed * side * side, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
    )


class PuppetTracker(nn.Module):
    """Read landmarks, cameras and a face score from an image, then codes and pose from the aligned face.

    Convention: the tracker frame is the whole image, so `tracker_map` is the identity.

    Args:
        layouts: the code layout of every head, by the head's name.

    Two trunks: `trunk` sees the whole image; `face_trunk` sees the face that landmarks have cut out and
    turned upright, and its rotation is turned back. Codes that never vary in training (the neck) have a
    standard deviation of zero and come out as their mean.
    """

    landmark_mean: Tensor  # (136,)

    def __init__(self, layouts: Mapping[str, CodeLayout]) -> None:
        super().__init__()
        self.layouts = dict(layouts)
        self.weights_sha256: str | None = None
        self.trunk = Trunk(WIDTHS, STRIDES, RESIDUAL)
        self.neck = flat_neck(WIDTHS[-1], 48, INPUT_PX // 16, 192)
        self.landmark_head = nn.Linear(192, 136)
        self.score_head = nn.Linear(192, 1)
        self.camera_heads = nn.ModuleDict({name: nn.Linear(192, at.num_camera) for name, at in layouts.items()})
        self.face_trunk = Trunk(FACE_WIDTHS, FACE_STRIDES, FACE_RESIDUAL)
        self.face_neck = flat_neck(FACE_WIDTHS[-1], 32, ALIGNED_PX // 8, 256)
        self.code_heads = nn.ModuleDict({name: nn.Linear(256, sum(at.sizes) + 6) for name, at in layouts.items()})
        self.register_buffer("landmark_mean", torch.zeros(136))
        for name, layout in self.layouts.items():
            for part, size in (("codes", sum(layout.sizes)), ("camera", layout.num_camera)):
                self.register_buffer(f"{name}_{part}_mean", torch.zeros(size))
                self.register_buffer(f"{name}_{part}_std", torch.ones(size))

    def features(self, img: Tensor) -> list[Tensor]:
        """Feature maps of the five trunk blocks, finest first, for a perceptual loss.

        Args:
            img: (B, 3, H, W) in [0, 1], any size; it is not resized.

        Returns:
            Maps of 16, 32, 48, 96, 96 channels at strides 2, 4, 8, 16, 16: each block's convolutions,
            batch-normalised and rectified.
        """
        return self.trunk(img)

    def look(self, img: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Run the first trunk.

        Args:
            img: (B, 3, H, W) in [0, 1]; resampled to 64 x 64 if it has another size.

        Returns:
            landmarks (B, 68, 2) in ndc, face logits (B,), cameras (B, C) by head name.
        """
        hidden = self.neck(self.trunk(resize_images(img, INPUT_PX))[-1]).float()
        with torch.autocast(img.device.type, enabled=False):  # eight bits are too few for points
            landmarks = (self.landmark_mean + 0.25 * self.landmark_head(hidden)).unflatten(-1, (68, 2))
            cameras = {name: self._scaled(f"{name}_camera", head(hidden)) for name, head in self.camera_heads.items()}
            return landmarks, self.score_head(hidden)[:, 0], cameras

    def read_face(self, aligned: Aligned, cameras: dict[str, Tensor]) -> dict[str, Codes]:
        """Run the second trunk on aligned faces; `cameras` (from `look`) are passed through into the codes."""
        hidden = self.face_neck(self.face_trunk(aligned.face)[-1]).float()
        with torch.autocast(hidden.device.type, enabled=False):
            return {
                name: self._codes(name, head(hidden), aligned, cameras[name]) for name, head in self.code_heads.items()
            }

    def _scaled(self, name: str, raw: Tensor) -> Tensor:
        return self.get_buffer(f"{name}_mean") + self.get_buffer(f"{name}_std") * raw

    def _codes(self, name: str, raw: Tensor, aligned: Aligned, camera: Tensor) -> Codes:
        shape, expression, joints = self._scaled(f"{name}_codes", raw[:, :-6]).split(self.layouts[name].sizes, -1)
        upright = rotation_from_6d(raw[:, -6:] + raw.new_tensor(IDENTITY_6D))
        zero = torch.zeros_like(aligned.roll_rad)
        turned_back = euler_to_matrix(torch.stack([zero, zero, aligned.roll_rad], -1))
        return Codes(shape, expression, joints, camera, turned_back @ upright)

    @torch.no_grad()
    def predict(self, img: Tensor, head_name: str) -> Prediction:
        """Fit one head to every image.

        Args:
            img: (B, 3, H, W) in [0, 1].
            head_name: a head that the network was trained for.

        Raises:
            KeyError: the network knows no such head.
            ValueError: the images have another shape.
        """
        if head_name not in self.layouts:
            raise KeyError(f"the puppet tracker fits {', '.join(self.layouts)}, not {head_name!r}")
        landmarks, logits, cameras = self.look(img)
        codes = self.read_face(align(img, landmarks), cameras)
        return Prediction(to_fit(codes[head_name], self.layouts[head_name].rotation), landmarks, logits.sigmoid())

    def save(self, path: Path | str, training: dict) -> None:
        """Write weights (float16 safetensors), layouts and the facts about their training."""
        layouts = {name: asdict(layout) for name, layout in self.layouts.items()}
        save_network(path, self, {"layouts": layouts, "training": training})


def to_fit(codes: Codes, rotation: str) -> HeadFit:
    """Turn regressed codes into fit rows whose tracker frame is the whole image."""
    if rotation == "deep3d_euler":
        root = matrix_to_yaw_pitch_roll(codes.rotation)[:, [1, 0, 2]]
    else:
        root = matrix_to_axis_angle(codes.rotation)
    identity_map = root.new_tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]).expand(len(root), 6)
    return HeadFit(codes.shape, codes.expression, torch.cat([root, codes.joints], -1), codes.camera, identity_map)


def load_tracker(path: Path | str) -> PuppetTracker:
    """Load shipped weights, frozen and in inference mode; `weights_sha256` is the hash of the file.

    Raises:
        FileNotFoundError: the weights are not there.
        ValueError: the file holds another network.
    """
    config, state = read_network(path)
    if "layouts" not in config:
        raise ValueError(f"{path} does not hold a puppet tracker")
    tracker = PuppetTracker({name: CodeLayout(**layout) for name, layout in config["layouts"].items()})
    tracker.load_state_dict(state)
    tracker.weights_sha256 = file_sha256(path)
    return freeze(tracker)
