"""Between a clip's frame and a network's image: PIL resizes and pastes the same; outside a square nothing changes."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pipeline.methods.placement import put_back, resized
from pipeline.methods.squares import Square

FRAME = (30, 44)
SQUARES = {
    "inside": Square(5, 4, 20), "left and above": Square(-6, -3, 20), "right and below": Square(30, 18, 21),
    "whole": Square(-8, -9, 70), "a pixel of it": Square(43, 29, 16), "outside": Square(50, 2, 10),
    "a single pixel": Square(7, 9, 1),
}  # fmt: skip


def noise(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(low, high, shape).astype(np.float32))


def pil_resized(img: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """A plane, by PIL in float."""
    return np.asarray(Image.fromarray(img, "F").resize(size_hw[::-1], Image.Resampling.BILINEAR))


@pytest.mark.parametrize("size", [(16, 20), (60, 80), (12, 100), (31, 44), (256, 256)])
def test_resizing_is_pils(size: tuple[int, int]):
    img = noise(2, 3, *FRAME)
    expected = np.stack([[pil_resized(plane, size) for plane in one] for one in img.numpy()])
    np.testing.assert_allclose(resized(img, size).numpy(), expected, rtol=0, atol=1e-5)


def test_a_frame_of_the_size_is_left_as_it_is():
    img = noise(1, 3, *FRAME)
    assert resized(img, FRAME) is img


@pytest.mark.parametrize("size", [(15, 22), (90, 132), (64, 64)])
def test_places_between_the_edges_keep_their_place(size: tuple[int, int]):
    """A ramp of positions, in ndc, reads the same at every size (rims apart, where it has no neighbours)."""
    ramps = [(np.arange(side) + 0.5) * 2 / side - 1 for side in FRAME]
    img = torch.from_numpy(np.stack(np.meshgrid(*ramps, indexing="ij"))[None])
    wanted = [(np.arange(side) + 0.5) * 2 / side - 1 for side in size]
    expected = np.stack(np.meshgrid(*wanted, indexing="ij"))
    rim = [-(-2 * after // before) + 2 for before, after in zip(FRAME, size, strict=True)]
    inner = (slice(None), slice(rim[0], -rim[0]), slice(rim[1], -rim[1]))
    np.testing.assert_allclose(resized(img, size)[0].numpy()[inner], expected[inner], rtol=0, atol=1e-6)


def test_a_whole_frame_is_clamped_and_resized():
    made = noise(2, 3, 24, 24, low=-0.5, high=1.5)

    def never() -> Tensor:
        raise AssertionError("nothing lies around a whole frame")

    put = put_back(made, FRAME, None, never)
    assert torch.equal(put, resized(made.clamp(0, 1), FRAME))
    assert made.min() < 0  # what was given stays as it was


@pytest.mark.parametrize("square", SQUARES.values(), ids=SQUARES)
def test_an_image_is_pasted_where_its_square_lies(square: Square):
    made, frame = noise(1, 3, 24, 24, low=-0.2, high=1.2), noise(1, 3, *FRAME) / 2
    before = frame.clone()
    put = put_back(made, FRAME, [square], lambda: frame)
    for plane, under, found in zip(made[0].numpy(), before[0].numpy(), put[0].numpy(), strict=True):
        expected = Image.fromarray(under, "F")
        part = pil_resized(plane.clip(0, 1), (square.side, square.side))
        expected.paste(Image.fromarray(part, "F"), (square.left, square.top))
        np.testing.assert_allclose(found, np.asarray(expected), rtol=0, atol=1e-5)
    assert torch.equal(frame, before)


def test_each_image_of_a_batch_has_a_square_of_its_own():
    squares = list(SQUARES.values())
    made, frames = noise(len(squares), 3, 24, 24), noise(len(squares), 3, *FRAME)
    together = put_back(made, FRAME, squares, lambda: frames)
    for row, square in enumerate(squares):
        rows = slice(row, row + 1)
        assert torch.equal(together[rows], put_back(made[rows], FRAME, [square], lambda rows=rows: frames[rows]))
