"""EfficientNet-Lite0 as a backend: FID and a distance of feature maps of the profiles of real people.

Convention: for pooled features images are resized to 224 px, the size that the network was trained at, by half-pixel
bilinear interpolation with anti-aliasing; feature maps are those of the image at its own size.
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from model.frame.coords import frames_to_tensor
from model.instruments.efficientnet_lite0 import load_efficientnet_lite0
from pipeline.metrics.protocols import Opening
from pipeline.store.assets import hash_of, require
from pipeline.store.closure import code_sha256
from pipeline.store.compute.devices import full_precision
from pipeline.store.provenance import sha256_text

TRAINED_PX = 224


class Lite0:
    """Reading: `pooled` (N, 1280); offers `perceptual_distance`."""

    name = "efficientnet_lite0"

    def __init__(self, weights: Path, device: torch.device) -> None:
        self.net = load_efficientnet_lite0(weights).to(device).to(memory_format=torch.channels_last)
        self.device = device
        self.weights_sha256 = hash_of(weights)
        code = code_sha256("pipeline.metrics.backends.efficientnet_lite0")
        self.fingerprint = sha256_text(self.weights_sha256, device.type, code)

    @classmethod
    def open(cls, opening: Opening) -> "Lite0":
        """Load the imported weights, or say how to get them (AssetMissing)."""
        return cls(require("efficientnet_lite0"), opening.device)

    @torch.inference_mode()
    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Read (N, H, W, 3) uint8 RGB frames."""
        size = (TRAINED_PX, TRAINED_PX)
        img = F.interpolate(self._images(frames_u8), size=size, mode="bilinear", antialias=True, align_corners=False)
        with full_precision(self.device):
            return {"pooled": self.net.pooled(img).cpu().numpy()}

    @torch.inference_mode()
    def perceptual_distance(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Distance (N,) float64 of uint8 frames; see `EfficientNetLite0.distance`."""
        with full_precision(self.device):
            distance = self.net.distance(self._images(generated), self._images(reference))
        return distance.double().cpu().numpy()

    def _images(self, frames_u8: np.ndarray) -> torch.Tensor:
        img = frames_to_tensor(torch.from_numpy(np.ascontiguousarray(frames_u8))).to(self.device)
        return img.contiguous(memory_format=torch.channels_last)  # half the time on a CPU
