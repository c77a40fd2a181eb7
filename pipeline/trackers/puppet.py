"""The tracker `puppet_tracker`: the shipped network that reads puppet heads from images."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from model.frame.coords import frames_to_tensor
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.puppet_nets.tracker import PuppetTracker, load_tracker
from model.trackers.landmark_head import LandmarkHead
from pipeline.params.fitting import FitParams
from pipeline.store.closure import code_sha256
from pipeline.store.compute.devices import full_precision
from pipeline.store.provenance import sha256_text
from pipeline.trackers.protocol import ClipInfo, FitRows, TrackerUnavailable, judge, landmark_residual

WEIGHTS = Path(__file__).parents[1] / "puppets" / "assets" / "tracker.safetensors"
_BATCH = 64


class PuppetNetTracker:
    """Fits frame by frame, from the image alone: it serves real and generated puppet frames alike."""

    def __init__(self, head: HeadModel, params: FitParams, network: PuppetTracker, device: torch.device) -> None:
        if head.name not in network.layouts:
            raise TrackerUnavailable(f"the puppet tracker fits {', '.join(network.layouts)}, not {head.name!r}")
        self.head = head
        self.params = params
        self.network = network.to(device)
        self.device = device
        self.reduced = LandmarkHead(head, ("root",))
        self.weights_sha256 = network.weights_sha256 or ""
        thresholds = (params.min_score, params.max_residual)
        code = code_sha256("pipeline.trackers.puppet")
        self.fingerprint = sha256_text(head.sha256, self.weights_sha256, thresholds, device.type, code)

    @classmethod
    def open(
        cls, head: HeadModel, params: FitParams, folders: Mapping[str, Path], device: torch.device
    ) -> "PuppetNetTracker":
        """Load the shipped weights (see `Tracker.open`)."""
        if not WEIGHTS.is_file():
            raise TrackerUnavailable(f"the shipped weights {WEIGHTS.name} are missing from pipeline/puppets/assets")
        return cls(head, params, load_tracker(WEIGHTS), device)

    def fit_clip(self, frames_u8: np.ndarray, info: ClipInfo) -> FitRows:
        """Fit the frames of a clip; nothing but the images is used."""
        return self.fit_images(frames_u8)

    @torch.inference_mode()
    def fit_images(self, frames_u8: np.ndarray) -> FitRows:
        """Fit (N, H, W, 3) uint8 RGB images."""
        with full_precision(self.device):
            predictions = [
                self.network.predict(frames_to_tensor(torch.from_numpy(part)).to(self.device), self.head.name)
                for part in np.array_split(frames_u8, max(1, round(len(frames_u8) / _BATCH)))
            ]
        fit = HeadFit.cat([p.fit for p in predictions]).to("cpu")
        landmarks = torch.cat([p.landmarks_ndc for p in predictions]).cpu()
        score = torch.cat([p.score for p in predictions]).cpu().numpy()
        residual = landmark_residual(self.reduced, fit, landmarks)
        return FitRows(judge(score, residual, self.params), score, residual, fit, landmarks.numpy())
