import sys

import numpy as np
import pytest

from pipeline.cropping.resize import RESIZES, gaussian_antialias, triangle_antialias
from tests.helpers import shared


def noise(height, width, seed=0):
    """Blocks with noise on top: edges and detail at once."""
    rng = np.random.default_rng(seed)
    image = np.kron(rng.random((16, 12, 3)), np.ones((-(-height // 16), -(-width // 12), 1)))[:height, :width]
    return (255 * (0.8 * image + 0.2 * rng.random(image.shape))).astype(np.uint8)


@pytest.mark.parametrize("size_hw", [(320, 252), (50, 41), (64, 300), (64, 64)])
def test_the_gaussian_is_skimages_rounded(size_hw):
    transform = pytest.importorskip("skimage.transform")
    image = noise(*size_hw)
    expected = 255 * transform.resize(image / 255.0, (64, 64), anti_aliasing=True)
    assert np.abs(gaussian_antialias(image, 64) - expected).max() <= 0.5 + 1e-9


def test_the_triangle_is_close_to_skimages():
    transform = pytest.importorskip("skimage.transform")
    image = noise(320, 252)
    expected = 255 * transform.resize(image / 255.0, (64, 64), anti_aliasing=True)
    assert np.abs(triangle_antialias(image, 64) - expected).mean() < 1.0
    assert np.abs(triangle_antialias(image[:, ::-1], 64) - expected).mean() > 10


@pytest.mark.parametrize(("name", "largest"), [("gaussian_antialias", 0), ("triangle_antialias", 1)])
@pytest.mark.parametrize("size_hw", [(310, 237), (150, 120)])
def test_published_crops_are_reproduced(name, largest, size_hw, monkeypatch):
    golden = np.load(shared("golden/geometry/video_preprocessing.npz"))
    monkeypatch.syspath_prepend(str(shared("golden")))
    import fill

    monkeypatch.delitem(sys.modules, "fill")
    height, width = size_hw
    picture = fill.smooth_image("geometry/resize", 320, 1)[0].transpose(1, 2, 0)
    picture = np.ascontiguousarray(np.rint(picture * 255).astype(np.uint8)[:height, :width])
    way = "down" if height > 256 else "up"
    expected = golden[f"resize_{way}_{height}x{width}_sub"].astype(int)
    assert np.abs(RESIZES[name](picture, 256)[4::8, 4::8] - expected).max() <= largest
