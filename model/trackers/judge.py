"""The puppet judge: the independent network that scores generated puppet frames.

It stands where FAN (AKD), ArcFace (CSIM), Inception (FID) and AlexNet (LPIPS) stand in the paper. It shares
no weight with the puppet tracker and takes part in no loss and no fit.

Legend: B batch, D = 64 pooled features, 48 px aligned faces.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.coords import identity_grid, ndc_to_px, px_to_ndc
from model.trackers.layers import (
    Trunk,
    check_images,
    file_sha256,
    freeze,
    read_network,
    resize_images,
    save_network,
)
from model.warp import warp

INPUT_PX = 64
ALIGNED_PX = 48
WIDTHS = (16, 32, 48, 96, 96)
STRIDES = (2, 2, 2, 2, 1)
RESIDUAL = (False, True, True, True, True)
FACE_WIDTHS = (24, 32, 64, 96)
FACE_STRIDES = (2, 1, 2, 2)
FACE_RESIDUAL = (False, True, True, True)
SQUEEZED = 40
FACE_SQUEEZED = 24
EMBEDDING = 96
POOLED = 64
# ArcFace's five points in a 112 px frame: eyes, nose tip, mouth corners (insightface, utils/face_align.py).
TEMPLATE_112_PX = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)


class PuppetJudge(nn.Module):
    """Landmarks, pooled features and an identity embedding of puppet images.

    Two trunks: one sees the whole image (landmarks, pooled features, perceptual maps), the other an
    aligned face and nothing around it (identity).
    """

    def __init__(self) -> None:
        super().__init__()
        self.weights_sha256: str | None = None
        self.trunk = Trunk(WIDTHS, STRIDES, RESIDUAL)
        side = INPUT_PX // 16
        self.landmark_head = nn.Sequential(
            nn.Conv2d(WIDTHS[-1], SQUEEZED, 1, bias=False),
            nn.BatchNorm2d(SQUEEZED),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(SQUEEZED * side * side, 192, bias=False),
            nn.BatchNorm1d(192),
            nn.ReLU(inplace=True),
        )
        self.landmark_out = nn.Linear(192, 136)
        self.pool_head = nn.Linear(WIDTHS[-1], POOLED)
        self.face_trunk = Trunk(FACE_WIDTHS, FACE_STRIDES, FACE_RESIDUAL)
        self.face_head = nn.Sequential(
            nn.Conv2d(FACE_WIDTHS[-1], FACE_SQUEEZED, 1, bias=False),
            nn.BatchNorm2d(FACE_SQUEEZED),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(FACE_SQUEEZED * (ALIGNED_PX // 8) ** 2, EMBEDDING, bias=False),
            nn.BatchNorm1d(EMBEDDING),
        )
        self.register_buffer("landmark_mean", torch.zeros(136))

    def look(self, img: Tensor) -> tuple[Tensor, Tensor]:
        """Read landmarks (B, 68, 2) in ndc and pooled features (B, 64) in one pass.

        Args:
            img: (B, 3, H, W) in [0, 1]; resampled to 64 x 64 if it has another size.
        """
        top = self.trunk(resize_images(img, INPUT_PX))[-1]
        hidden, mean = self.landmark_head(top).float(), top.float().mean((2, 3))
        with torch.autocast(img.device.type, enabled=False):  # eight bits are too few for points
            landmarks = (self.landmark_mean + 0.25 * self.landmark_out(hidden)).unflatten(-1, (68, 2))
            return landmarks, self.pool_head(mean)

    def landmarks(self, img: Tensor) -> Tensor:
        """68 iBUG landmarks (B, 68, 2) in ndc of images (B, 3, H, W) in [0, 1]."""
        return self.look(img)[0]

    def pooled(self, img: Tensor) -> Tensor:
        """Features (B, 64) of whole images (B, 3, H, W) in [0, 1], whose Gaussian statistics give FID."""
        return self.look(img)[1]

    def embed(self, img: Tensor) -> Tensor:
        """Identity of images (B, 3, H, W) in [0, 1], each aligned by its own landmarks.

        Returns:
            (B, 96) vectors of length 1; CSIM is the dot product of two.
        """
        return self.embed_aligned(align(img, self.landmarks(img)))

    def embed_aligned(self, face: Tensor) -> Tensor:
        """Identity (B, 96), length 1, of faces (B, 3, 48, 48) that `align` has cut out."""
        return F.normalize(self.face_head(self.face_trunk(face)[-1]).float(), dim=-1)

    def features(self, img: Tensor) -> list[Tensor]:
        """Feature maps of the five trunk blocks, finest first, of images (B, 3, H, W) at their own size."""
        return self.trunk(img)

    def lpips(self, img_a: Tensor, img_b: Tensor) -> Tensor:
        """Perceptual distance (B,) of two batches (B, 3, H, W) in [0, 1]; zero for equal images.

        Every feature vector is scaled to length 1; squared differences are summed over channels, averaged
        over positions, then over the five maps: LPIPS (Zhang et al. 2018, equation 1) with all channel
        weights 1 and the judge's trunk as its network.

        Raises:
            ValueError: the two batches differ in shape.
        """
        if img_a.shape != img_b.shape:
            raise ValueError(f"lpips: images differ in shape, {tuple(img_a.shape)} and {tuple(img_b.shape)}")
        distances = [
            (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1).mean((1, 2))
            for a, b in zip(self.features(img_a), self.features(img_b), strict=True)
        ]
        return torch.stack(distances).mean(0)

    def save(self, path: Path | str, training: dict) -> None:
        """Write weights (float16 safetensors) and the facts about their training."""
        save_network(path, self, {"network": "puppet_judge", "training": training})


def five_points(landmarks: Tensor) -> Tensor:
    """Eye centres, nose tip and mouth corners (B, 5, 2) of 68 iBUG landmarks (B, 68, 2)."""
    return torch.stack(
        [
            landmarks[:, 36:42].mean(1),
            landmarks[:, 42:48].mean(1),
            landmarks[:, 30],
            landmarks[:, 48],
            landmarks[:, 54],
        ],
        1,
    )


def similarity_to(points: Tensor, targets: Tensor) -> Tensor:
    """Least-squares similarities that carry points (B, N, 2) to targets (B, N, 2), as (B, 2, 3) matrices.

    Rotation, one scale and translation, no reflection: Umeyama 1991 in the plane, where it is linear.
    """
    mean_p, mean_t = points.mean(1, keepdim=True), targets.mean(1, keepdim=True)
    p, t = points - mean_p, targets - mean_t
    power = p.square().sum((1, 2)).clamp_min(1e-12)
    a = (p * t).sum((1, 2)) / power
    b = (p[..., 0] * t[..., 1] - p[..., 1] * t[..., 0]).sum(1) / power
    linear = torch.stack([a, -b, b, a], -1).unflatten(-1, (2, 2))
    shift = mean_t[:, 0] - (linear @ mean_p[:, 0, :, None])[..., 0]
    return torch.cat([linear, shift[..., None]], -1)


def align(img: Tensor, landmarks_ndc: Tensor) -> Tensor:
    """Cut out faces so that their five points lie on ArcFace's template.

    The similarity is found in pixels of the image, so non-square images do not distort the face.

    Args:
        img: (B, 3, H, W) in [0, 1].
        landmarks_ndc: (B, 68, 2) of these images.

    Returns:
        (B, 3, 48, 48).
    """
    check_images(img)
    size = img.shape[-2:]
    found_px = ndc_to_px(five_points(landmarks_ndc.float()), size)
    template_px = found_px.new_tensor(TEMPLATE_112_PX).expand_as(found_px) * (ALIGNED_PX / 112)
    to_image = similarity_to(template_px, found_px)
    grid_ndc = identity_grid((ALIGNED_PX, ALIGNED_PX), img.device)  # (1, 2, 48, 48)
    grid_px = ndc_to_px(grid_ndc.flatten(2).transpose(1, 2), (ALIGNED_PX, ALIGNED_PX))  # (1, 48 * 48, 2)
    source_px = grid_px @ to_image[:, :, :2].transpose(1, 2) + to_image[:, None, :, 2]
    source_ndc = px_to_ndc(source_px, size).transpose(1, 2).unflatten(-1, (ALIGNED_PX, ALIGNED_PX))
    return warp(img, source_ndc - grid_ndc)


def load_judge(path: Path | str) -> PuppetJudge:
    """Load shipped weights, frozen and in inference mode; `weights_sha256` is the hash of the file.

    Raises:
        FileNotFoundError: the weights are not there.
        ValueError: the file holds another network.
    """
    config, state = read_network(path)
    if config.get("network") != "puppet_judge":
        raise ValueError(f"{path} does not hold a puppet judge")
    judge = PuppetJudge()
    judge.load_state_dict(state)
    judge.weights_sha256 = file_sha256(path)
    return freeze(judge)
