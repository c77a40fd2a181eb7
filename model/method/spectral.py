"""The convolution of generators and discriminators that are trained here."""

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2  # of every leaky ReLU


def conv(channels_in: int, channels_out: int, kernel: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    """Return a spectrally normalised convolution that keeps (stride 1) or halves (stride 2) the size."""
    padding = (kernel - 1) // 2
    convolution = nn.Conv2d(channels_in, channels_out, kernel, stride, padding, bias=bias)
    spectral_norm(convolution)  # in place
    return convolution
