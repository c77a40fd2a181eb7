"""How a stored picture becomes an upright one: the quarter turns and mirrors of a container's display matrix."""

from dataclasses import dataclass

import numpy as np

MATRIX_BYTES = 36  # nine 32-bit integers
SLANT = 0.01  # share of a side; more is no quarter turn


@dataclass(frozen=True)
class Orientation:
    """First rows and columns change places, then either may run backwards."""

    swaps: bool = False
    flips_rows: bool = False
    flips_columns: bool = False

    @classmethod
    def of_matrix(cls, data: bytes) -> "Orientation":
        """Read a display matrix: a stored point (x, y) is shown at (a x + c y, b x + d y), y down.

        Raises:
            ValueError: it turns by no multiple of a right angle, or shrinks pictures to nothing.
        """
        if len(data) != MATRIX_BYTES:
            raise ValueError(f"its display matrix is of {len(data)} bytes, expected {MATRIX_BYTES}")
        a, b, _, c, d, *_ = np.frombuffer(data, np.int32).tolist()
        straight, crossed = (abs(a), abs(d)), (abs(b), abs(c))
        if min(straight) > 0 and max(crossed) <= SLANT * min(straight):
            return cls(False, d < 0, a < 0)
        if min(crossed) > 0 and max(straight) <= SLANT * min(crossed):
            return cls(True, b < 0, c < 0)
        raise ValueError(f"its display matrix ({a}, {b}, {c}, {d}) is no quarter turn or mirror")

    @property
    def upright(self) -> bool:
        """Whether pictures are shown as they are stored."""
        return self == Orientation()

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """Turn an (H, W, 3) picture as it is to be shown; a view."""
        if self.swaps:
            picture = picture.swapaxes(0, 1)
        return picture[:: -1 if self.flips_rows else 1, :: -1 if self.flips_columns else 1]
