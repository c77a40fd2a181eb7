"""What a metric and a backend are.

A backend looks at images one by one and gives *readings* (features, an embedding, landmarks, codes of a
head). A metric compares the readings of generated images with those of reference images. Everything is
measured on saved 8-bit images.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import numpy as np

from pipeline.params.fitting import LandmarkFitParams
from pipeline.store.assets import AssetMissing

if TYPE_CHECKING:
    import torch

Role = Literal["target", "source", "driving"]
Size = tuple[int, int]  # (height, width)
PIXELS = "pixels"
_REASON = 300  # characters of an error that stand beside a dash


class BackendUnavailable(RuntimeError):
    """A backend cannot run here; the message is the reason that the table prints beside its dash."""


class BackendFailed(RuntimeError):
    """A backend that was opened ended in an error; the message is the reason that the table prints.

    Attributes:
        backend_name: which one.
    """

    def __init__(self, backend_name: str, error: Exception) -> None:
        super().__init__(reason_of(backend_name, error))
        self.backend_name = backend_name


def reason_of(backend_name: str, error: Exception) -> str:
    """Why a backend gives no number, in one line: what it says itself, or the error that it ended in."""
    text = " ".join(str(error).split())
    if isinstance(error, AssetMissing | BackendUnavailable):
        return text
    return f"{backend_name} cannot run ({type(error).__name__}{text and ': '}{text[:_REASON]})"


@contextmanager
def named_failure(backend_name: str) -> Iterator[None]:
    """Turn whatever a backend ends in into `BackendFailed`: what it raises is its own."""
    try:
        yield
    except Exception as error:
        raise BackendFailed(backend_name, error) from error


def no_landmarks() -> "Backend":
    """What opens a finder of landmarks where there is none.

    Raises:
        BackendUnavailable: always.
    """
    raise BackendUnavailable("faces are aligned by landmarks, and nothing here finds any")


@dataclass(frozen=True)
class Opening:
    """What a backend may need to be opened.

    Attributes:
        heads: the .npz of each head that AED and APD are measured on with this backend, by the head's name.
        min_score: a tracker's score below which an image shows no face (section `fit`).
        device: where networks run.
        landmark_fit: how heads are fitted to landmarks (section `fit`), for backends that do; None where nobody says.
        landmarks: opens the backend whose reading `landmarks_px` says where faces lie, and raises BackendUnavailable
            where it cannot run.
    """

    heads: Mapping[str, Path]
    min_score: float
    device: "torch.device"
    landmark_fit: LandmarkFitParams | None = None
    landmarks: Callable[[], "Backend"] = field(default=no_landmarks)


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
            Exception: it cannot run here. The message of BackendUnavailable and pipeline.store.assets.AssetMissing is
                printed as it is, any other with its type; AssetRefused ends the evaluation.
        """
        ...

    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Look at (N, H, W, 3) uint8 RGB frames once. An error leaves its columns a reason, not the others.

        Returns:
            Everything this backend reads, by the reading's name: (N, D) numbers, NaN rows where it failed.
        """
        ...


class OnwardBackend(Backend, Protocol):
    """A backend that looks at images through what another one read in them, such as the landmarks of a face.

    Attributes:
        base: the other one. Backends whose bases have equal fingerprints share its look at an image.
    """

    base: Backend

    def observe_with(self, frames_u8: np.ndarray, seen: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Look at frames as `observe` does, given what `base.observe` returns for them."""
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

    A class may have more: `features_of`, the metric of sets whose stored features it compares; `of_references`, where
    source images stand in the place of generated ones; `undefined(size_hw)`, why frames of a size give no number.
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
