"""What a published network refuses: a source of another size, a signal that is absent or of another shape."""

from collections.abc import Mapping

from torch import Tensor

from model.frame.images import check_images
from model.method.network import Signals


def check_inputs(source: Tensor, native_px: int, signals: Signals, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check what one call is given.

    Args:
        source: the images, to be (B, 3, native_px, native_px).
        native_px: side of the network's images.
        signals: what drives; names that `shapes` does not have are not looked at.
        shapes: shape of every signal that the network reads, by name, without the first axis B.

    Raises:
        ValueError: something does not fit; the message names it and says what was expected.
    """
    check_images(source)
    if source.shape[-2:] != (native_px, native_px):
        raise ValueError(f"source: expected images of {native_px} px, got {tuple(source.shape[-2:])}")
    for name, shape in shapes.items():
        if name not in signals:
            raise ValueError(f"no signal `{name}`: given are {sorted(signals)}")
        expected, found = (len(source), *shape), tuple(signals[name].shape)
        if found != expected:
            raise ValueError(f"signal `{name}`: expected shape {expected}, got {found}")
