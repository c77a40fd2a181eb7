"""LPIPS v0.1 on AlexNet through torchmetrics, which ships the linear weights; the backbone comes by path."""

from pathlib import Path

import numpy as np
import torch

from model.frame.coords import frames_to_tensor
from pipeline.metrics.protocols import Opening
from pipeline.store.assets import hash_of, require
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_text


class LpipsAlex:
    """No readings; offers `perceptual_distance`. Images go in as [0, 1] and are scaled to [-1, 1] inside."""

    name = "lpips_alex"

    def __init__(self, weights: Path, device: torch.device) -> None:
        from torchmetrics.functional.image.lpips import _LPIPS

        self.net = _LPIPS(pretrained=True, net="alex", pnet_rand=True)
        state = torch.load(weights, map_location="cpu", weights_only=True)
        layers = {key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")}
        slices = {key.split(".", 1)[1]: key for key in self.net.net.state_dict()}  # "0.weight" -> "slice1.0.weight"
        self.net.net.load_state_dict({slices[key]: value for key, value in layers.items()}, strict=True)
        self.net.to(device)
        self.device = device
        self.weights_sha256 = hash_of(weights)
        code = code_sha256("pipeline.metrics.backends.lpips_alex", through=("torchvision",))
        self.fingerprint = sha256_text(self.weights_sha256, device.type, code)

    @classmethod
    def open(cls, opening: Opening) -> "LpipsAlex":
        """Load the imported AlexNet, or say how to get it (AssetMissing)."""
        return cls(require("lpips_alex"), opening.device)

    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """No readings."""
        return {}

    @torch.inference_mode()
    def perceptual_distance(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """LPIPS (N,) float64 of uint8 frames."""
        img = [frames_to_tensor(torch.from_numpy(np.ascontiguousarray(f))) for f in (generated, reference)]
        distance = self.net(img[0].to(self.device), img[1].to(self.device), normalize=True)
        return distance.flatten().double().cpu().numpy()
