"""Peak signal-to-noise ratio (PSNR) of 8-bit frames, a further column."""

import numpy as np

from pipeline.metrics.protocols import PIXELS, Backend, Size

PEAK = 255.0
LARGEST_DB = 100.0  # of equal frames, whose ratio has no bound


class PeakSignalToNoise:
    """PSNR: 10 log10(255^2 / mean squared difference) of each pair, dB; same identity only.

    Convention: the mean over pairs is of their decibels, and no pair counts for more than 100 dB, which equal frames
    have.
    """

    name = "psnr"
    label = "PSNR"
    reading = PIXELS
    higher_is_better = True
    digits = 2
    against = {"same": "target"}
    of_sets = False

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @classmethod
    def metric_id(cls, backend_name: str, head: str, size_hw: Size) -> str:
        """Always `psnr[db]`."""
        return "psnr[db]"

    def compare(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Compare (N, H, W, 3) uint8 frames."""
        pairs = zip(generated, reference, strict=True)
        squared = [np.square(a.astype(np.int32) - b.astype(np.int32)).mean(dtype=np.float64) for a, b in pairs]
        least = PEAK**2 / 10 ** (LARGEST_DB / 10)
        return 10 * np.log10(PEAK**2 / np.maximum(squared, least))
