"""dlib's face recognition network in torch: CSIM of the profiles of real people.

Convention: five of an image's 68 points carry the face to dlib's chip of 150 px; every image is aligned by itself, by
the landmarks that AKD measures with, so that no other network has to look for faces.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from model.frame.coords import frames_to_tensor
from model.instruments.dlib_resnet import load_dlib_resnet
from model.instruments.face_chips import face_chips
from pipeline.metrics.protocols import Backend, Opening
from pipeline.store.assets import hash_of, require
from pipeline.store.closure import code_sha256
from pipeline.store.compute.devices import full_precision
from pipeline.store.provenance import sha256_text


class DlibFaces:
    """Reading: `embedding` (N, 128), not normalised.

    Attributes:
        base: the backend whose reading `landmarks_px` (N, 136) says where faces lie.
    """

    name = "dlib_resnet"

    def __init__(self, weights: Path, base: Backend, device: torch.device) -> None:
        self.net = load_dlib_resnet(weights).to(device)
        self.base, self.device = base, device
        self.weights_sha256 = hash_of(weights)
        code = code_sha256("pipeline.metrics.backends.dlib_resnet")
        self.fingerprint = sha256_text(self.weights_sha256, base.fingerprint, device.type, code)

    @classmethod
    def open(cls, opening: Opening) -> "DlibFaces":
        """Load the imported weights, or say how to get them (AssetMissing), or why nothing finds landmarks."""
        return cls(require("dlib_resnet"), opening.landmarks(), opening.device)

    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Read (N, H, W, 3) uint8 RGB frames; NaN where no face was found to align."""
        return self.observe_with(frames_u8, self.base.observe(frames_u8))

    @torch.inference_mode()
    def observe_with(self, frames_u8: np.ndarray, seen: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Read frames in which `base` has found landmarks, given what it read."""
        points_px = seen["landmarks_px"]
        embedding = np.full((len(frames_u8), self.net.descriptor.out_features), np.nan, np.float32)
        found = np.isfinite(points_px).all(1)
        if found.any():
            img = frames_to_tensor(torch.from_numpy(frames_u8[found])).to(self.device)
            landmarks = torch.from_numpy(points_px[found]).unflatten(1, (68, 2)).to(self.device)
            with full_precision(self.device):
                embedding[found] = self.net(face_chips(img, landmarks)).cpu().numpy()
        return {"embedding": embedding}
