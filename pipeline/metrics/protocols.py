"""What a metric and a backend are.

A backend looks at images one by one and gives *readings* (features, an embedding, landmarks, codes of a
head). A metric compares the readings of generated images with those of reference images. Everything is
measured on saved 8-bit images.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch

Role = Literal["target", "source", "driving"]
Size = tuple[int, int]  # (height, width)
PIXELS = "pixels"


class BackendUnavailable(RuntimeError):
    """A backend cannot run here; the message is the reason that the table prints beside its dash."""


@dataclass(frozen=True)
class Opening:
    """What a backend may need to be opened.

    Attributes:
        heads: the .npz of each head that AED and APD are measured on with this backend, by the head's name.
        min_score: a tracker's score below which an image shows no face (section `fit`).
        device: where networks run.
    """

    heads: Mapping[str, Path]
    min_score: float
    device: "torch.device"


class Backend(Protocol):
    """Something that looks at images.

    Attributes:
        name: short name, part of a metric's id.
        fingerprint: hash of weights and code; readings kept between runs are keyed by it.
        weights_sha256: hash of the weights, empty where there are none.
    """

    name: str
    fingerprint: str
    weights_sha256: str

    @classmethod
    def open(cls, opening: Opening) -> "Backend":
        """Load weights.

        Raises:
            BackendUnavailable or pipeline.store.assets.AssetMissing: it cannot run here.
        """
        ...

    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Look at (N, H, W, 3) uint8 RGB frames once.

        Returns:
            Everything this backend reads, by the reading's name: (N, D) numbers, NaN rows where it failed.
        """
        ...


class Metric(Protocol):
    """One column of the tables.

    Attributes:
        name: key in params.yaml and in reports/paper.csv.
        label: what a table's header prints.
        reading: what it asks its backend for; `pixels` asks for nothing. A tracker has one reading a head,
            `reading:head`.
        higher_is_better: which way the arrow points.
        digits: decimals in the Markdown tables, as in the paper.
        against: task -> the image that generated ones are compared with (supplementary 3).
        of_sets: True when it compares two sets of images, not pairs.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    reading: ClassVar[str]
    higher_is_better: ClassVar[bool]
    digits: ClassVar[int]
    against: ClassVar[Mapping[str, Role]]
    of_sets: ClassVar[bool]

    def __init__(self, backend: Backend) -> None: ...

    @classmethod
    def metric_id(cls, backend_name: str, head: str, size_hw: Size) -> str:
        """Name that says what the number was measured with, e.g. `akd_px[puppet_judge,64]`."""
        ...

    def compare(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Compare N readings with N readings: (N,) float64, NaN where either failed.

        A metric of sets has no use for this; it offers `distance(generated, reference) -> float`.
        """
        ...
