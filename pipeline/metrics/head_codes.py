"""Average expression and pose distance (AED, APD, supplementary 3): what a head tracker reads.

The reading `head_codes` is (N, E + 3): E expression codes, then yaw, pitch and roll in degrees.
"""

import numpy as np

from pipeline.metrics.protocols import Backend, Size

NUM_ANGLES = 3


class _HeadDistance:
    """What both have in common: against the target (same identity) or the driving image (cross identity)."""

    name: str
    reading = "head_codes"
    higher_is_better = False
    digits = 3
    against = {"same": "target", "cross": "driving"}
    of_sets = False

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @classmethod
    def metric_id(cls, backend_name: str, head: str, size_hw: Size) -> str:
        """E.g. `aed[puppet_tracker,puppet]`."""
        return f"{cls.name}[{backend_name},{head}]"


class ExpressionDistance(_HeadDistance):
    """AED: mean over dimensions of |difference of expression codes| (not FOMM's metric of the same name)."""

    name = "aed"
    label = "AED"

    def compare(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Mean |difference| of the expression codes, in units of the head's codes."""
        codes = slice(None, -NUM_ANGLES)
        return np.abs(generated[:, codes].astype(np.float64) - reference[:, codes].astype(np.float64)).mean(1)


class PoseDistance(_HeadDistance):
    """APD: mean of |yaw|, |pitch| and |roll| differences of the global head pose, degrees."""

    name = "apd"
    label = "APD"

    def compare(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Mean |difference| of the three angles; 359 and 1 degree are two degrees apart."""
        angles = slice(-NUM_ANGLES, None)
        gap = generated[:, angles].astype(np.float64) - reference[:, angles].astype(np.float64)
        return np.abs((gap + 180.0) % 360.0 - 180.0).mean(1)


class YawGap(_HeadDistance):
    """|yaw of the source - yaw of the driving image|, degrees: how far a pair has to turn, whoever turns it.

    No column of its own: AKD is given by strata of it.
    """

    name = "yaw_gap"
    label = "yaw gap"
    against = {"same": "target"}
    of_references = True

    def compare(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Difference of the yaws of source images (in the place of generated ones) and targets."""
        gap = generated[:, -NUM_ANGLES].astype(np.float64) - reference[:, -NUM_ANGLES].astype(np.float64)
        return np.abs((gap + 180.0) % 360.0 - 180.0)
