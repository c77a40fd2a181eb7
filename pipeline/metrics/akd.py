"""Distances of keypoints: AKD (supplementary 3; reduction of AliaksandrSiarohin/pose-evaluation), and NME beside it."""

import numpy as np

from pipeline.metrics.protocols import Backend, Size

OUTER_EYES = (36, 45)  # of the 68 points


class KeypointDistance:
    """AKD: mean absolute difference over the 136 coordinates of 68 landmarks, in pixels of the clip.

    Convention: per coordinate, not per point (a Euclidean reading is up to twice as large). Same identity
    only, because landmarks carry the person's own face shape.
    """

    name = "akd"
    label = "AKD"
    reading = "landmarks_px"
    higher_is_better = False
    digits = 2
    against = {"same": "target"}
    of_sets = False

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @classmethod
    def metric_id(cls, backend_name: str, head: str, size_hw: Size) -> str:
        """E.g. `akd_px[puppet_judge,64]`; a frame that is not square reads `HxW`."""
        height, width = size_hw
        return f"akd_px[{backend_name},{height if height == width else f'{height}x{width}'}]"

    def compare(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Mean |difference| of (N, 136) coordinates, pixels."""
        return np.abs(np.asarray(generated, np.float64) - np.asarray(reference, np.float64)).mean(1)


class NormalisedError:
    """NME: mean distance of the 68 points, in percent of the reference's distance between the outer eye corners.

    Convention: per point, as in 300-W, where AKD is per coordinate; frames of any size compare. Same identity only.
    """

    name = "nme"
    label = "NME"
    reading = "landmarks_px"
    higher_is_better = False
    digits = 2
    against = {"same": "target"}
    of_sets = False

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @classmethod
    def metric_id(cls, backend_name: str, head: str, size_hw: Size) -> str:
        """E.g. `nme_percent[puppet_judge]`."""
        return f"nme_percent[{backend_name}]"

    def compare(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Compare (N, 136) coordinates; NaN where the reference's eyes fall together."""
        a, b = (np.asarray(points, np.float64).reshape(len(points), -1, 2) for points in (generated, reference))
        eyes = np.linalg.norm(b[:, OUTER_EYES[0]] - b[:, OUTER_EYES[1]], axis=1)
        distance = np.linalg.norm(a - b, axis=2).mean(1)
        return 100 * np.divide(distance, eyes, out=np.full(len(eyes), np.nan), where=eyes > 0)
