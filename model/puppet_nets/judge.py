"""The puppet judge: the independent network that scores generated puppet frames.

It stands where FAN (AKD), ArcFace (CSIM), Inception (FID) and AlexNet (LPIPS) stand in the paper. It shares
no weight with the puppet tracker and takes part in no loss and no fit.

Legend: B batch, D = 64 pooled features, 48 px aligned faces.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.frame.alignment import ALIGNED_PX, align
from model.puppet_nets.layers import (
    Trunk,
    file_sha256,
    freeze,
    read_network,
    resize_images,
    save_network,
)

INPUT_PX = 64
WIDTHS = (16, 32, 48, 96, 96)
STRIDES = (2, 2, 2, 2, 1)
RESIDUAL = (False, True, True, True, False)
FACE_WIDTHS = (24, 32, 56, 96)
FACE_STRIDES = (2, 1, 2, 2)
FACE_RESIDUAL = (False, False, True, True)
SQUEEZED = 40
FACE_SQUEEZED = 24
EMBEDDING = 96
POOLED = 64


class PuppetJudge(nn.Module):
    """Landmarks, pooled features and an identity embedding of puppet images.

    Two trunks: one sees the whole image (landmarks, pooled features, perceptual maps), the other an
    aligned face and nothing around it (identity).
    """

    landmark_mean: Tensor  # (136,)

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
        return self.embed_aligned(align(img, self.landmarks(img)).face)

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
