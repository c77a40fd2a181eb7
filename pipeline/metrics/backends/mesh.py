"""The face mesh as a backend: AKD by its 68 landmarks, AED and APD by heads fitted to them, of anybody's videos.

Convention: every image is read by itself, and every head fitted by itself, identity included: a backend sees images,
not whose they are. A frame in which the mesh finds no face reads as NaN, so its pair counts as failed.
"""

from collections.abc import Mapping

import numpy as np
import torch

from model.frame.coords import px_to_ndc
from model.heads.head import HeadModel, load_head
from pipeline.instruments.mesh_reader import MeshReader, open_mesh
from pipeline.instruments.sixty_eight import to_68
from pipeline.metrics.protocols import BackendUnavailable, Opening
from pipeline.params.fitting import LandmarkFitParams
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_text
from pipeline.trackers.landmark_rows import LandmarkRows


class Mesh:
    """Readings: `landmarks_px` (N, 136); `head_codes:<head>` (N, E + 3), expression codes, then angles in degrees.

    An image that the mesh scores below `min_score` has no head codes. A face that the head fits badly is a
    measurement, not a failure: leaving it out would reward blurred output.
    """

    name = "mesh"

    def __init__(
        self,
        reader: MeshReader,
        heads: Mapping[str, HeadModel],
        min_score: float,
        settings: LandmarkFitParams | None,
    ) -> None:
        if heads and settings is None:
            raise BackendUnavailable("heads are fitted to the mesh's landmarks, and nobody says how (fit.landmark_fit)")
        self.reader, self.min_score = reader, min_score
        self.rows = {name: LandmarkRows(head, settings) for name, head in heads.items() if settings}
        self.weights_sha256 = reader.weights_sha256
        fits = ({name: head.sha256 for name, head in heads.items()}, min_score, settings and settings.model_dump())
        code = code_sha256("pipeline.metrics.backends.mesh")
        self.fingerprint = sha256_text(reader.fingerprint, fits if heads else "", code)

    @classmethod
    def open(cls, opening: Opening) -> "Mesh":
        """Load the imported networks, or say how to get them (AssetMissing)."""
        reader = open_mesh(opening.device)
        heads = {name: load_head(path) for name, path in opening.heads.items()}
        return cls(reader, heads, opening.min_score, opening.landmark_fit)

    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Read (N, H, W, 3) uint8 RGB frames."""
        faces = self.reader.read(frames_u8)
        landmarks_px = to_68(faces.points_px)
        found = {"landmarks_px": landmarks_px.reshape(len(frames_u8), -1)}
        usable = np.flatnonzero(faces.found & (faces.presence >= self.min_score))
        ndc = px_to_ndc(torch.from_numpy(landmarks_px).double(), frames_u8.shape[1:3])
        for name, rows in self.rows.items():
            codes = np.full((len(frames_u8), rows.head.num_expression + 3), np.nan, np.float32)
            if len(usable):
                fit = rows.fit(ndc[usable], one_person=False)
                angles_deg = torch.rad2deg(rows.head.yaw_pitch_roll_rad(fit.pose))
                codes[usable] = torch.cat([fit.expression, angles_deg], 1).float().numpy()
            found[f"head_codes:{name}"] = codes
        return found
