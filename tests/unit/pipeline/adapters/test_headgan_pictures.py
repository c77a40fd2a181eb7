"""HeadGAN's pictures against a rasteriser that shares nothing with them, at their resolution and at many times it."""

from functools import cache

import numpy as np
import pytest
import torch

from model.baselines.headgan.network import HeadGan, HeadGanConfig
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from pipeline.adapters.headgan.adapter import HeadGanAdapter
from tests.helpers import random_head
from tests.oracles.raster import rasterize
from tests.small_methods import IDENTITY

SIDE = 64
FINE = 12  # times the picture's side, where its pixels are taken as areas


@cache
def head() -> HeadModel:
    return HeadModel(random_head()).float()


def fits(count: int, seed: int = 0) -> HeadFit:
    """Heads that fill much of the frame; the last leaves it."""
    draw = torch.Generator().manual_seed(seed)
    pose = torch.zeros(count, head().num_pose)
    pose[:, :3] = 0.5 * torch.randn(count, 3, generator=draw)
    camera = torch.tensor([0.05, 0.0, 0.0]).repeat(count, 1)
    camera[-1, 1] = 10.0
    return HeadFit(
        torch.randn(count, head().num_shape, generator=draw),
        torch.randn(count, head().num_expression, generator=draw),
        pose,
        camera,
        torch.tensor([IDENTITY]).repeat(count, 1),
    )


class Frames:
    """A view that has fits alone: of each frame its window."""

    size_hw = (SIDE, SIDE)

    def __init__(self, fit: HeadFit) -> None:
        self._fit = fit

    def images(self) -> torch.Tensor:
        return torch.zeros(1, 3, SIDE, SIDE)

    def fit(self, before: int = 0, after: int = 0) -> HeadFit:
        assert len(self._fit) == before + 1 + after
        return self._fit


@cache
def pictures(smoothing: int) -> tuple[HeadFit, np.ndarray]:
    """Fits of a window and the pictures (3, 3, n, n) of it."""
    torch.manual_seed(0)
    network = HeadGan(HeadGanConfig(native_px=SIDE, bottom_px=16, channels=4, hidden=8, smoothing=smoothing))
    window = fits(3)
    driven = HeadGanAdapter(network, head()).drive(Frames(fits(1, 5)), Frames(window), torch.tensor([True]))
    return window, driven.signals["driving_nmfc"][0].unflatten(0, (3, 3)).numpy()


def colours() -> np.ndarray:
    """(V, 3) place of each vertex in the template's box, whose longest side counts 1; float64."""
    template = head().template.double().numpy()
    return (template - template.min(0)) / np.ptp(template, axis=0).max()


def rendered(fit: HeadFit, times: int) -> np.ndarray:
    """(3, n, n): the mesh rendered at so many times the side in float64, averaged over blocks."""
    verts, triangles = head().place(fit)[0].numpy(), head().triangles.numpy()
    triangle, weights, _ = rasterize(verts, triangles, (SIDE * times, SIDE * times), perspective=head().perspective)
    shown = (colours()[triangles[triangle.clip(0)]] * weights[..., None]).sum(2)
    shown[triangle < 0] = 0
    return shown.reshape(SIDE, times, SIDE, times, 3).mean((1, 3)).transpose(2, 0, 1)


@pytest.mark.parametrize("smoothing", [1, 2])
@pytest.mark.parametrize("at", range(3))
def test_a_picture_is_that_of_its_frame_of_the_window_oldest_first(at: int, smoothing: int):
    window, made = pictures(smoothing)
    np.testing.assert_allclose(made[at], rendered(window[[at]], smoothing), rtol=0, atol=2e-5)
    assert 0.05 < (made[at].max(0) > 0).mean() < 0.9
    assert made.min() >= 0
    assert made.max() <= 1


@pytest.mark.parametrize("at", range(3))
def test_a_smoothed_picture_is_near_the_mean_over_each_pixels_area(at: int):
    window, made = pictures(2)
    off = np.abs(made[at] - rendered(window[[at]], FINE))
    assert off.mean() < 0.005
    assert np.quantile(off, 0.95) < 0.05
    assert off.max() < 0.5  # on the rim four samples stand for all of a pixel
