"""The puppet tracker as a backend: AED and APD of the puppets profile, on either puppet head."""

from pathlib import Path

import numpy as np
import torch

from model.coords import frames_to_tensor
from model.heads.head import HeadModel, load_head
from model.trackers.puppet import PuppetTracker, load_tracker
from pipeline.metrics.protocols import BackendUnavailable
from pipeline.provenance import sha256_sources, sha256_text

WEIGHTS = Path(__file__).parents[2] / "puppets" / "assets" / "tracker.safetensors"
SOURCES = ("model/trackers", "model/heads", "pipeline/metrics/backends/puppet_tracker.py")


class PuppetTrackerBackend:
    """Reading: `head_codes` (N, E + 3), expression codes, then yaw, pitch and roll in degrees."""

    name = "puppet_tracker"

    def __init__(self, tracker: PuppetTracker, head: HeadModel, device: str) -> None:
        self.tracker = tracker.to(device)
        self.head = head.to(device)
        self.device = device
        self.weights_sha256 = tracker.weights_sha256 or ""
        self.fingerprint = sha256_text(self.weights_sha256, head.sha256, sha256_sources(SOURCES))

    @classmethod
    def open(cls, head: Path | None, device: str) -> "PuppetTrackerBackend":
        """Load the shipped weights and the head."""
        if head is None or not head.exists():
            raise BackendUnavailable(f"the puppet tracker needs a head, and {head} is missing")
        if not WEIGHTS.exists():
            raise BackendUnavailable(f"the shipped weights {WEIGHTS.name} are missing from pipeline/puppets/assets")
        tracker, model = load_tracker(WEIGHTS), load_head(head)
        if model.name not in tracker.layouts:
            raise BackendUnavailable(f"the puppet tracker fits {', '.join(tracker.layouts)}, not {model.name}")
        return cls(tracker, model, device)

    @torch.inference_mode()
    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Fit the head to every (H, W, 3) uint8 frame."""
        img = frames_to_tensor(torch.from_numpy(np.ascontiguousarray(frames_u8))).to(self.device)
        fit = self.tracker.predict(img, self.head.name).fit
        angles_deg = torch.rad2deg(self.head.yaw_pitch_roll_rad(fit.pose))
        return {"head_codes": torch.cat([fit.expression, angles_deg], 1).cpu().numpy()}
