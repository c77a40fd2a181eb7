"""The puppet judge as a backend: FID, CSIM, AKD and LPIPS of the puppets profile."""

from pathlib import Path

import numpy as np
import torch

from model.frame.alignment import align
from model.frame.coords import frames_to_tensor, ndc_to_px
from model.puppet_nets.judge import PuppetJudge, load_judge
from pipeline.metrics.protocols import BackendUnavailable, Opening
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_text

WEIGHTS = Path(__file__).parents[2] / "puppets" / "assets" / "judge.safetensors"


class PuppetJudgeBackend:
    """Readings: `pooled` (N, 64), `embedding` (N, 96) of length 1, `landmarks_px` (N, 136)."""

    name = "puppet_judge"

    def __init__(self, judge: PuppetJudge, device: torch.device) -> None:
        self.judge = judge.to(device)
        self.device = device
        self.weights_sha256 = judge.weights_sha256 or ""
        code = code_sha256("pipeline.metrics.backends.puppet_judge")
        self.fingerprint = sha256_text(self.weights_sha256, device.type, code)

    @classmethod
    def open(cls, opening: Opening) -> "PuppetJudgeBackend":
        """Load the shipped weights."""
        if not WEIGHTS.exists():
            raise BackendUnavailable(f"the shipped weights {WEIGHTS.name} are missing from pipeline/puppets/assets")
        return cls(load_judge(WEIGHTS), opening.device)

    @torch.inference_mode()
    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Read (N, H, W, 3) uint8 frames; the face is aligned by its own landmarks."""
        img = self._images(frames_u8)
        landmarks, pooled = self.judge.look(img)
        embedding = self.judge.embed_aligned(align(img, landmarks).face)
        landmarks_px = ndc_to_px(landmarks, img.shape[-2:]).flatten(1)
        found = {"pooled": pooled, "embedding": embedding, "landmarks_px": landmarks_px}
        return {name: values.float().cpu().numpy() for name, values in found.items()}

    @torch.inference_mode()
    def perceptual_distance(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """LPIPS (N,) float64 of uint8 frames on the judge's feature maps."""
        distance = self.judge.lpips(self._images(generated), self._images(reference))
        return distance.double().cpu().numpy()

    def _images(self, frames_u8: np.ndarray) -> torch.Tensor:
        return frames_to_tensor(torch.from_numpy(np.ascontiguousarray(frames_u8))).to(self.device)
