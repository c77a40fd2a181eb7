"""Normalised mean face coordinates: a colour for every vertex of a head, the same for every person and pose."""

from torch import Tensor


def nmfc(template: Tensor) -> Tensor:
    """Normalised mean face coordinates (V, 3) in [0, 1]: the template, shifted and scaled by one factor.

    Source: HeadGAN section 3.1; one factor for the three axes keeps the head's proportions.
    """
    low = template.amin(0)
    return (template - low) / (template.amax(0) - low).max()
