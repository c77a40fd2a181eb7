"""What the systems that are driven by an image are called with."""

from torch import Tensor

from model.frame.images import check_images
from model.method import Signals

DRIVING = "driving"
DRIVING_FIRST = "driving_first"  # first frame of the driving clip; optional, makes the motion relative to it


def driving_image(source: Tensor, signals: Signals, native_px: int, name: str = DRIVING) -> Tensor:
    """Look up a signal that is an image, and check it and the source.

    Args:
        source: (B, 3, native_px, native_px).
        signals: has an image of the source's shape, dtype and device under `name`.
        native_px: side that the network was trained on.
        name: of the signal.

    Raises:
        ValueError: the signal is absent, or an image has another shape; the message names it.
    """
    if name not in signals:
        raise ValueError(f"no signal {name!r}, the image that drives; got {sorted(signals)}")
    for which, img in (("source", source), (name, signals[name])):
        try:
            check_images(img)
        except ValueError as error:
            raise ValueError(f"{which}: {error}") from error
        if img.shape[-2:] != (native_px, native_px):
            raise ValueError(f"{which}: expected images of {native_px} px, got {tuple(img.shape[-2:])}")
    if len(signals[name]) != len(source):
        raise ValueError(f"{name} has {len(signals[name])} images, source {len(source)}")
    return signals[name]
