"""Structural similarity (SSIM, Table 2; Wang et al. 2004 with the Gaussian window), and MS-SSIM on its terms.

The definition is torchmetrics 1.9's (window 11, sigma 1.5, K = 0.01 and 0.03, population covariance, borders
reflected) and a test holds it to that; importing torchmetrics itself costs 4 s, half of what scoring a
method may take.
"""

import cv2
import numpy as np

from pipeline.metrics.protocols import PIXELS, Backend, Size

WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of MS-SSIM's scales, finest first


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
        return np.array([ssim_map(a / 255.0, b / 255.0).mean() for a, b in zip(generated, reference, strict=True)])


class MultiScaleSimilarity:
    """MS-SSIM (Wang et al. 2003): contrast and structure at five scales, luminance at the last; same identity only.

    The definition is torchmetrics 1.9's: negative terms count as zero, scales are 2x2 averages, and all but the last
    leave out a border of half a window. Below 161 px the last scale has no whole window: there is no number then.
    """

    name = "ms_ssim"
    label = "MS-SSIM"
    reading = PIXELS
    higher_is_better = True
    digits = 3
    against = {"same": "target"}
    of_sets = False

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @classmethod
    def metric_id(cls, backend_name: str, head: str, size_hw: Size) -> str:
        """Always `ms_ssim[gauss11,5]`."""
        return f"ms_ssim[gauss{WINDOW},{len(WEIGHTS)}]"

    @classmethod
    def undefined(cls, size_hw: Size) -> str:
        """Why there is no number for frames of this size; empty where there is one."""
        least = (WINDOW - 1) * 2 ** (len(WEIGHTS) - 1) + 1
        if min(size_hw) >= least:
            return ""
        return f"MS-SSIM of {len(WEIGHTS)} scales needs frames of at least {least} px, not {size_hw[0]}x{size_hw[1]}"

    def compare(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Compare (N, H, W, 3) uint8 frames of at least 161 pixels a side."""
        return np.array([_ms_ssim(a / 255.0, b / 255.0) for a, b in zip(generated, reference, strict=True)])


def _ms_ssim(img_a: np.ndarray, img_b: np.ndarray) -> float:
    """MS-SSIM of two (H, W, C) float64 images in [0, 1]."""
    border, found = slice(WINDOW // 2, -(WINDOW // 2)), 1.0
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            img_a, img_b = _halved(img_a), _halved(img_b)
        luminance, covariance, variance = _terms(img_a, img_b)
        last = scale == len(WEIGHTS) - 1
        term = (luminance * covariance / variance).mean() if last else (covariance / variance)[border, border].mean()
        found *= max(float(term), 0.0) ** weight
    return found


def _halved(img: np.ndarray) -> np.ndarray:
    """2x2 averages of an (H, W, C) image; an odd last row or column is left out."""
    height, width = (side // 2 * 2 for side in img.shape[:2])
    parts = [img[y:height:2, x:width:2] for y in (0, 1) for x in (0, 1)]
    return (parts[0] + parts[1] + parts[2] + parts[3]) / 4


def ssim_map(img_a: np.ndarray, img_b: np.ndarray) -> np.ndarray:
    """SSIM of every pixel and channel of two (H, W, C) float64 images in [0, 1]: (H, W, C)."""
    luminance, covariance, variance = _terms(img_a, img_b)
    return luminance * covariance / variance


def _terms(img_a: np.ndarray, img_b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Luminance, and twice the covariance and the variances, which make contrast and structure; see `ssim_map`."""
    moments = np.concatenate([img_a, img_b, img_a * img_a, img_b * img_b, img_a * img_b], 2)
    mean_a, mean_b, square_a, square_b, product = np.split(_blur(moments), 5, 2)
    var_a, var_b = square_a - mean_a * mean_a, square_b - mean_b * mean_b
    covariance = product - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + K1**2) / (mean_a * mean_a + mean_b * mean_b + K1**2)
    return luminance, 2 * covariance + K2**2, var_a + var_b + K2**2


def _blur(planes: np.ndarray) -> np.ndarray:
    """Gaussian of (H, W, C) planes, borders reflected about the outermost pixel's centre."""
    taps = np.exp(-0.5 * ((np.arange(WINDOW) - WINDOW // 2) / SIGMA) ** 2)
    taps /= taps.sum()
    return cv2.sepFilter2D(planes, cv2.CV_64F, taps, taps, borderType=cv2.BORDER_REFLECT_101)
