"""What an image tensor is."""

from torch import Tensor


def check_images(img: Tensor) -> None:
    """Raise ValueError unless `img` is a batch of RGB images (B, 3, H, W)."""
    if img.ndim != 4 or img.shape[1] != 3:
        raise ValueError(f"expected images (B, 3, H, W), got shape {tuple(img.shape)}")
