"""ArcFace (insightface's ONNX class on onnxruntime): CSIM of the voxceleb profile.

Convention: FAN's 68 points give five (eye centres, nose tip, mouth corners), and a least-squares similarity
carries them to the 112 px template; every image is aligned by itself. Input RGB, (x - 127.5) / 127.5.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from model.frame.alignment import TEMPLATE_112_PX, five_points, similarity_to
from pipeline.metrics.backends.fan import Fan
from pipeline.metrics.protocols import Opening
from pipeline.store.assets import hash_of, require
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_text

ALIGNED_PX = 112


class ArcFace:
    """Reading: `embedding` (N, 512), not normalised."""

    name = "arcface"

    def __init__(self, weights: Path, landmarks: Fan) -> None:
        from insightface.model_zoo.arcface_onnx import ArcFaceONNX

        self.net = ArcFaceONNX(model_file=str(weights))
        self.base = landmarks
        self.weights_sha256 = hash_of(weights)
        code = code_sha256("pipeline.metrics.backends.arcface", through=("onnxruntime",))
        self.fingerprint = sha256_text(self.weights_sha256, landmarks.fingerprint, code)

    @classmethod
    def open(cls, opening: Opening) -> "ArcFace":
        """Load the imported weights, or say how to get them (AssetMissing)."""
        return cls(require("arcface"), Fan.open(opening))

    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Read (N, H, W, 3) uint8 RGB frames; NaN where no face was found to align."""
        return self.observe_with(frames_u8, self.base.observe(frames_u8))

    def observe_with(self, frames_u8: np.ndarray, seen: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Read frames whose landmarks FAN knows, in one pass."""
        points_px = seen["landmarks_px"]
        ok = np.isfinite(points_px).all(1)
        embedding = np.full((len(frames_u8), self.net.output_shape[1]), np.nan, np.float32)
        if ok.any():
            faces = align_to_template(frames_u8[ok], points_px[ok])
            embedding[ok] = self.net.get_feat([face[:, :, ::-1] for face in faces])  # the class expects BGR
        return {"embedding": embedding}


def align_to_template(frames_u8: np.ndarray, landmarks_px: np.ndarray) -> list[np.ndarray]:
    """Cut (112, 112, 3) faces out of frames by their (N, 136) landmarks.

    The template counts from pixel centres at integers, as OpenCV does, so 0.5 comes off the landmarks.
    """
    import cv2

    centres = torch.from_numpy(landmarks_px - 0.5).double().unflatten(1, (68, 2))
    template = torch.tensor(TEMPLATE_112_PX, dtype=torch.float64).expand(len(centres), 5, 2)
    matrices = similarity_to(five_points(centres), template).numpy()
    size = (ALIGNED_PX, ALIGNED_PX)
    return [cv2.warpAffine(f, m, size, borderValue=0.0) for f, m in zip(frames_u8, matrices, strict=True)]
