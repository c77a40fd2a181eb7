"""The tracker `landmarks`: least squares on landmarks from a table; any head with 68 of them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from model.frame.coords import apply_affine
from model.heads.head import HeadModel
from pipeline.params.fitting import FitParams
from pipeline.store.closure import code_sha256
from pipeline.store.landmark_table import LandmarkTable
from pipeline.store.provenance import sha256_text
from pipeline.trackers.landmark_rows import LandmarkRows
from pipeline.trackers.protocol import ClipInfo, FitRows, TrackerUnavailable

TABLE = "landmarks.parquet"


class LandmarkTracker:
    """Fits a head to the landmarks that `<data set's folder>/landmarks.parquet` holds."""

    def __init__(self, head: HeadModel, params: FitParams, tables: Mapping[str, LandmarkTable]) -> None:
        self.head = head
        self.params = params
        self.tables = dict(tables)
        self.rows = LandmarkRows(head, params.landmark_fit)
        self.weights_sha256 = ""
        tables_sha256 = {name: table.sha256 for name, table in self.tables.items()}
        settings = params.model_dump(exclude={"tracker", "second_tracker", "max_fail_rate"})
        code = code_sha256("pipeline.trackers.landmarks")
        self.fingerprint = sha256_text(head.sha256, settings, tables_sha256, code)

    @classmethod
    def open(
        cls, head: HeadModel, params: FitParams, folders: Mapping[str, Path], device: torch.device
    ) -> "LandmarkTracker":
        """Read the landmark tables of all data sets (see `Tracker.open`); it has no network, so any device will do."""
        return cls(head, params, {name: LandmarkTable(folder / TABLE) for name, folder in folders.items()})

    def fit_images(self, frames_u8: np.ndarray) -> FitRows:
        """Refuse: nobody has detected landmarks on these images."""
        raise TrackerUnavailable("the tracker `landmarks` reads a table of real frames; it cannot look at other images")

    def fit_clip(self, frames_u8: np.ndarray, info: ClipInfo) -> FitRows:
        """Fit the clip's frames by their rows in the table; see `LandmarkRows.of_frames`."""
        seen = self.tables[info.dataset].look(info.person, info.video, info.frame_index)
        crop_map = torch.from_numpy(np.asarray(info.crop_map, np.float64))[None]
        landmarks = apply_affine(crop_map, torch.from_numpy(seen.landmarks_px))  # (T, 68, 2) clip ndc
        return self.rows.of_frames(landmarks, seen.score, seen.found, self.params, one_person=True)
