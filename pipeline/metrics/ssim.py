"""Structural similarity (SSIM, Table 2; Wang et al. 2004 with the Gaussian window).

The definition is torchmetrics 1.9's (window 11, sigma 1.5, K = 0.01 and 0.03, population covariance, borders
reflected) and a test holds it to that; importing torchmetrics itself costs 4 s, half of what scoring a
method may take.
"""

import numpy as np
import torch
from torch.nn import functional as F

from pipeline.metrics.protocols import PIXELS, Backend, Size

WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03


class StructuralSimilarity:
    """SSIM: mean over channels and pixels, same identity only; 1 for equal images."""

    name = "ssim"
    label = "SSIM"
    reading = PIXELS
    higher_is_better = True
    digits = 3
    against = {"same": "target"}
    of_sets = False

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @classmethod
    def metric_id(cls, backend_name: str, head: str, size_hw: Size) -> str:
        """Always `ssim[gauss11]`."""
        return f"ssim[gauss{WINDOW}]"

    def compare(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Compare (N, H, W, 3) uint8 frames of at least 11 pixels a side.

        Raises:
            ValueError: a frame is smaller than the window.
        """
        if min(generated.shape[1:3]) < WINDOW:
            raise ValueError(f"SSIM needs frames of at least {WINDOW} px, not {generated.shape[1:3]}")
        return ssim(_planes(generated), _planes(reference)).numpy().astype(np.float64)


def _planes(frames_u8: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(frames_u8)).permute(0, 3, 1, 2).double() / 255.0


def ssim(img_a: torch.Tensor, img_b: torch.Tensor) -> torch.Tensor:
    """SSIM of (N, C, H, W) images in [0, 1], one value an image (N,)."""
    return ssim_map(img_a, img_b).flatten(1).mean(1)


def ssim_map(img_a: torch.Tensor, img_b: torch.Tensor) -> torch.Tensor:
    """SSIM of every pixel and channel, (N, C, H, W)."""
    num = len(img_a)
    moments = torch.cat([img_a, img_b, img_a * img_a, img_b * img_b, img_a * img_b])
    mean_a, mean_b, square_a, square_b, product = _blur(moments).unflatten(0, (5, num))
    var_a, var_b = square_a - mean_a * mean_a, square_b - mean_b * mean_b
    covariance = product - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + K1**2) / (mean_a * mean_a + mean_b * mean_b + K1**2)
    return luminance * (2 * covariance + K2**2) / (var_a + var_b + K2**2)


def _blur(img: torch.Tensor) -> torch.Tensor:
    """Separable Gaussian of (N, C, H, W) images, borders reflected."""
    offset = torch.arange(WINDOW, dtype=img.dtype) - WINDOW // 2
    taps = torch.exp(-0.5 * (offset / SIGMA) ** 2)
    taps = taps / taps.sum()
    half = WINDOW // 2
    planes = F.pad(img, (half, half, half, half), mode="reflect").flatten(0, 1).unsqueeze(1)
    blurred = F.conv2d(F.conv2d(planes, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))
    return blurred.squeeze(1).unflatten(0, img.shape[:2])
