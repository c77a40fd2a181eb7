"""What head trackers have in common as backends of AED and APD: the codes that a `FaceReader` reads."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch

from model.heads.head import load_head
from pipeline.metrics.backends.fan import Fan, faces_of
from pipeline.metrics.protocols import BackendUnavailable, Opening
from pipeline.store.assets import require
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_text
from pipeline.trackers.face_reader import FaceReader
from pipeline.trackers.protocol import TrackerUnavailable


class HeadCodes:
    """Reading: `head_codes:<head>` (N, E + 3), expression codes, then yaw, pitch and roll in degrees.

    An image in which no face is found with `min_score` reads as NaN. A face that the head fits badly is a
    measurement, not a failure: leaving it out would reward blurred output.
    """

    name: ClassVar[str]
    reader_class: ClassVar[type[FaceReader]]

    def __init__(self, reader: FaceReader, min_score: float) -> None:
        self.reader, self.min_score = reader, min_score
        self.base = Fan(reader.finder)
        self.weights_sha256 = reader.weights_sha256
        code = code_sha256("pipeline.metrics.backends.head_codes")  # the reader's own is in its fingerprint
        self.fingerprint = sha256_text(reader.fingerprint, min_score, code)

    @classmethod
    def open(cls, opening: Opening) -> "HeadCodes":
        """Load the imported weights for the one head that it is asked for, or say how to get them (AssetMissing)."""
        try:
            for head in opening.heads:
                cls.reader_class.check_head(head)
            require(cls.reader_class.asset)
            reader = cls.reader_class.open(load_head(opening.heads[cls.reader_class.head_name]), opening.device)
        except TrackerUnavailable as error:
            raise BackendUnavailable(str(error)) from None
        return cls(reader, opening.min_score)

    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Fit every (H, W, 3) uint8 frame."""
        return self.observe_with(frames_u8, self.base.observe(frames_u8))

    def observe_with(self, frames_u8: np.ndarray, seen: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Fit frames whose faces FAN knows."""
        fit = self.reader.read_faces(frames_u8, faces_of(seen), self.min_score).fit
        angles_deg = torch.rad2deg(self.reader.head.yaw_pitch_roll_rad(fit.pose))
        return {f"head_codes:{self.reader.head.name}": torch.cat([fit.expression, angles_deg], 1).numpy()}
