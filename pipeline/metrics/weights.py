"""Which imported weights each backend uses, as names of assets (see pipeline/trackers/weights.py)."""

from pipeline.trackers.weights import LANDMARKS, TRACKER_WEIGHTS

BACKEND_WEIGHTS: dict[str, tuple[str, ...]] = {
    **TRACKER_WEIGHTS,
    "pixels": (),
    "puppet_judge": (),
    "inception": ("inception",),
    "arcface": ("arcface", *LANDMARKS),
    "fan": LANDMARKS,
    "lpips_alex": ("lpips_alex",),
}
