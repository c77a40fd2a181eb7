"""The puppet tracker as a backend: AED and APD of the puppets profile, on both puppet heads at once."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from model.frame.alignment import align
from model.frame.coords import frames_to_tensor
from model.heads.head import HeadModel, load_head
from model.puppet_nets.tracker import PuppetTracker, load_tracker, to_fit
from pipeline.metrics.protocols import BackendUnavailable, Opening
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_text

WEIGHTS = Path(__file__).parents[2] / "puppets" / "assets" / "tracker.safetensors"


class PuppetTrackerBackend:
    """Readings: `head_codes:<head>` (N, E + 3), expression codes, then yaw, pitch and roll in degrees.

    An image that the tracker takes for no face (score below `min_score`) reads as NaN. A face that the
    head fits badly is a measurement, not a failure: leaving it out would reward blurred output.
    """

    name = "puppet_tracker"

    def __init__(
        self, tracker: PuppetTracker, heads: Mapping[str, HeadModel], min_score: float, device: torch.device
    ) -> None:
        self.tracker = tracker.to(device)
        self.heads = {name: head.to(device) for name, head in heads.items()}
        self.min_score = min_score
        self.device = device
        self.weights_sha256 = tracker.weights_sha256 or ""
        known = {name: head.sha256 for name, head in heads.items()}
        code = code_sha256("pipeline.metrics.backends.puppet_tracker")
        self.fingerprint = sha256_text(self.weights_sha256, known, min_score, device.type, code)

    @classmethod
    def open(cls, opening: Opening) -> "PuppetTrackerBackend":
        """Load the shipped weights and the heads that it can fit."""
        if not WEIGHTS.exists():
            raise BackendUnavailable(f"the shipped weights {WEIGHTS.name} are missing from pipeline/puppets/assets")
        tracker = load_tracker(WEIGHTS)
        strange = [name for name in opening.heads if name not in tracker.layouts]
        if strange:
            known = ", ".join(tracker.layouts)
            raise BackendUnavailable(f"the puppet tracker fits {known}, not {', '.join(strange)}")
        heads = {name: load_head(path) for name, path in opening.heads.items()}
        return cls(tracker, heads, opening.min_score, opening.device)

    @torch.inference_mode()
    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Fit all heads to every (H, W, 3) uint8 frame."""
        img = frames_to_tensor(torch.from_numpy(np.ascontiguousarray(frames_u8))).to(self.device)
        landmarks, logits, cameras = self.tracker.look(img)
        codes = self.tracker.read_face(align(img, landmarks), cameras)
        no_face = logits.sigmoid() < self.min_score
        found = {}
        for name, head in self.heads.items():
            fit = to_fit(codes[name], head.arrays.rotation)
            angles_deg = torch.rad2deg(head.yaw_pitch_roll_rad(fit.pose))
            reading = torch.cat([fit.expression, angles_deg], 1)
            reading[no_face] = float("nan")
            found[f"head_codes:{name}"] = reading.cpu().numpy()
        return found
