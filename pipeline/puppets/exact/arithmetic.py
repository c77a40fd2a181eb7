"""Float32 sums and functions whose every rounding is stated, so that no library chooses it by the processor.

A library's product of matrices adds in an order of its own on every kind of processor, with or without fused
operations, and its exp and sin end in other last digits. A puppet's pixel turns such a digit into another byte now and
then, and the encoder turns that byte into another file. What stands here is made of float64 sums and products alone,
which have one answer by IEEE 754: the product of two float32 numbers is exact in float64.

The orders are those of the libraries under AVX2 and AVX-512, with which the project's videos were made first.
"""

import numpy as np

ROW_BLOCK = 8  # codes that a product of one row takes together
ROW_LANES = 16  # columns that it takes together; those left over are summed one code after the other

# exp: Cody and Waite's split of ln 2, and a rational function of the rest (numpy, loops_exponent_log, float32)
_LN2_HIGH, _LN2_LOW = np.float32(6.93145752e-1), np.float32(1.42860677e-6)
_LOG2_E, _WHOLE = np.float32(1.442695040), np.float32(1.5 * 2**23)  # adding and taking off _WHOLE rounds to whole
_ABOVE = tuple(
    np.float32(value)
    for value in (
        5.082762527590693718096e-04,
        6.757896990527504603057e-03,
        5.114512081637298353406e-02,
        2.473615434895520810817e-01,
        7.257664613233124478488e-01,
        9.999999999980870924916e-01,
    )
)
_BELOW = tuple(np.float32(value) for value in (2.159509375685829852307e-02, -2.742335390411667452936e-01, 1.0))


def fused(total: np.ndarray | np.float32, factor: np.ndarray | np.float32, values: np.ndarray) -> np.ndarray:
    """Return `total + factor * values` of float32 arrays, rounded to float32 once."""
    product = np.multiply(values, factor, dtype=np.float64)
    return np.add(product, total, out=product).astype(np.float32)


def weighted_sum(weights: np.ndarray, values: np.ndarray, total: np.ndarray | None = None) -> np.ndarray:
    """Add weighted rows, one after the other, each step rounded once.

    Args:
        weights: (B, K) float32.
        values: (K, N) float32 or float64 holding float32 numbers.
        total: (B or 1, N) float32 to begin with; zeros unless given.

    Returns:
        (B, N) float32.
    """
    total = np.zeros((len(weights), values.shape[1]), np.float32) if total is None else total
    for column, row in zip(weights.T, values, strict=True):
        if column.any():  # a row of weight 0 would add 0
            total = fused(total, column[:, None], row)
    return total if len(total) == len(weights) else np.repeat(total, len(weights), 0)


def weighted_sum_of_one(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Add weighted rows for one set of weights (K,), in the order of a library's product of one row: (N,) float32."""
    lanes = values.shape[1] // ROW_LANES * ROW_LANES
    last = len(weights) // ROW_BLOCK * ROW_BLOCK
    wide, total = values[:, :lanes], np.zeros(lanes, np.float32)

    def pair(first: int, second: int) -> np.ndarray:
        return fused(weighted_sum(weights[None, [second]], wide[[second]])[0], weights[first], wide[first])

    for k in range(0, last, ROW_BLOCK):
        total = fused(fused(total, weights[k + 6], wide[k + 6]), weights[k + 4], wide[k + 4])
        total = total + pair(k + 5, k + 7)
        total = total + (pair(k, k + 2) + pair(k + 1, k + 3))
    total = weighted_sum(weights[None, last:], wide[last:], total[None])[0]
    return np.concatenate([total, weighted_sum(weights[None], values[:, lanes:])[0]])


def turned(rotations: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply matrices (B, R, K) to points (B or 1, K, N) of one coordinate a plane: (B, R, N) float32."""
    total = np.multiply(rotations[:, :, :1], points[:, None, 0])
    for k in range(1, rotations.shape[2]):
        total = fused(total, rotations[:, :, k : k + 1], points[:, None, k])
    return total


def between(start: np.ndarray, end: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Go from `start` to `end` by shares in [0, 1], from the nearer of both."""
    near = share < 0.5
    return fused(np.where(near, start, end), np.where(near, share, share - 1), end - start)


def exp(values: np.ndarray) -> np.ndarray:
    """Exponential of float32 values from -87 to 88, good to 3 units in the last place.

    Float64 values have numpy's own: its last digits differ between processors, but not what they round to.
    """
    if values.dtype != np.float32:
        return np.exp(values)
    whole = (values * _LOG2_E + _WHOLE) - _WHOLE
    rest = fused(fused(values, -_LN2_HIGH, whole), -_LN2_LOW, whole)
    above: np.ndarray | np.float32 = _ABOVE[0]
    below: np.ndarray | np.float32 = _BELOW[0]
    for factor in _ABOVE[1:]:
        above = fused(factor, above, rest)
    for factor in _BELOW[1:]:
        below = fused(factor, below, rest)
    return np.ldexp(above / below, whole.astype(np.int32))
