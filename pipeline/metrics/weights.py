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
    "dlib_resnet": ("dlib_resnet",),  # its landmarks are AKD's, whose own weights stand there
    "efficientnet_lite0": ("efficientnet_lite0",),
}
