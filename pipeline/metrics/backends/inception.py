"""InceptionV3 (2015-12-05) through torchmetrics and torch-fidelity: FID of the voxceleb profile.

Convention: images are resized to 299 by half-pixel bilinear interpolation with anti-aliasing, which for
256 px is pytorch-fid's resize (torchmetrics 1.8 and later; its older TensorFlow-1 sampling differs by a
grey level), and scaled by (x - 128) / 128. Features: the last average pooling, 2048 numbers.
"""

from pathlib import Path

import numpy as np
import torch

from pipeline.metrics.protocols import Opening
from pipeline.store.assets import hash_of, require
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_text


class Inception:
    """Reading: `pooled` (N, 2048)."""

    name = "inception"

    def __init__(self, weights: Path, device: torch.device) -> None:
        from torchmetrics.image.fid import NoTrainInceptionV3

        torch.load(weights, map_location="cpu", weights_only=True)  # refuses a pickle that would run code
        self.net = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(weights)).to(device)
        self.device = device
        self.weights_sha256 = hash_of(weights)
        code = code_sha256("pipeline.metrics.backends.inception", through=("torch_fidelity",))
        self.fingerprint = sha256_text(self.weights_sha256, device.type, code)

    @classmethod
    def open(cls, opening: Opening) -> "Inception":
        """Load the imported weights, or say how to get them (AssetMissing)."""
        return cls(require("inception"), opening.device)

    @torch.inference_mode()
    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Read (N, H, W, 3) uint8 frames."""
        planes = torch.from_numpy(np.ascontiguousarray(frames_u8)).permute(0, 3, 1, 2)
        return {"pooled": self.net(planes.to(self.device)).float().cpu().numpy()}
