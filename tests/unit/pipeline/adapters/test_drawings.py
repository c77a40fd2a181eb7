"""Bi-Layer's and LSR's drawings: the published pixels, at the place of the landmarks."""

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.adapters.bilayer import stickman
from pipeline.adapters.lsr import contours
from tests.helpers import ROOT, shared
from tests.puppet_studio import codes, landmarks_px, person

GOLDEN = (
    ROOT / "tests" / "data" / "contours.npz"
)  # two poses in whole px, and `as_published` of them (matplotlib 3.11.2)
DRAWINGS = [(stickman.draw, 256), (contours.draw, 224)]
# Lines that nothing lies above, and their colours in the stickman and in the contours.
JAW = ([range(17)], (255, 255, 255), (0, 128, 0))
BROW = ([range(17, 22)], (255, 0, 0), None)
BROWS = ([range(17, 22), range(22, 27)], None, (255, 165, 0))
MAP = np.array([0.75, 0, 0.1, 0, 1, -0.2], np.float32)
SIZE = (240, 320)


def puppet(**pose: float) -> np.ndarray:
    """(68, 2) landmarks of a posed puppet in ndc of a square."""
    return landmarks_px(codes(person(), **pose), MAP, SIZE) / 120 - (1.3, 1.0)


def golden() -> tuple[np.ndarray, np.ndarray]:
    with np.load(GOLDEN) as stored:
        return stored["landmarks_px"], stored["drawings_u8"]


def as_published(marks: np.ndarray, side: int = 224) -> np.ndarray:
    """LSR's own way: lines over a shown black image, in axes that matplotlib scales by itself."""
    figure = Figure(figsize=(side / 100, side / 100), dpi=100, facecolor="black")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(np.zeros((side, side, 3)))
    figure.subplots_adjust(left=0, right=1, top=1, bottom=0)
    bounds = [0, 17, 22, 27, 31, 36, 42, 48, 60, 68]
    names = ["green", "orange", "orange", "blue", "blue", "red", "red", "purple", "pink"]
    for first, end, name in zip(bounds[:-1], bounds[1:], names, strict=True):
        axes.plot(marks[first:end, 0], marks[first:end, 1], marker="", linestyle="-", color=name, lw=2 * side / 224)
    axes.axis("off")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def from_px(marks: np.ndarray, side: int = 224) -> np.ndarray:
    """Pixel numbers as ndc."""
    return (marks + 0.5) / side * 2 - 1


def drawn(drawing: np.ndarray, rgb: tuple[int, int, int]) -> np.ndarray:
    """Places (N, 2) in px of the pixels that have a colour, more than half of it."""
    colour, pixels = np.array(rgb, float), drawing.astype(float)
    level = pixels @ colour / (colour @ colour)
    off = np.abs(pixels - level[..., None] * colour).max(-1)
    rows, columns = np.nonzero((off < 12 * level) & (level > 0.5))
    return np.stack([columns, rows], 1) + 0.5


def dense(marks: np.ndarray, lines: list[range], side: int) -> np.ndarray:
    """Points in px along polylines, closer than a pixel."""
    step = np.linspace(0, 1, 40)[:, None, None]
    runs = [marks[list(at)] for at in lines]
    return (
        np.concatenate([(run[:-1] * (1 - step) + run[1:] * step).reshape(-1, 2) for run in runs] + runs) * side / 2
        + side / 2
    )


def farthest(points: np.ndarray, others: np.ndarray) -> float:
    """Largest distance of a point to the nearest of the others."""
    return np.linalg.norm(points[:, None] - others, axis=-1).min(1).max()


def test_the_contours_are_the_stored_ones_and_those_of_the_published_way():
    marks, drawings = golden()
    np.testing.assert_array_equal(contours.draw(from_px(marks)), drawings)
    np.testing.assert_array_equal(np.stack([as_published(pose) for pose in marks]), drawings)


@pytest.mark.parametrize("side", [64, 128])
def test_contours_of_another_side_are_the_published_ones_with_lines_of_the_same_share(side: int):
    marks = golden()[0] * side / 224
    np.testing.assert_array_equal(
        contours.draw(from_px(marks, side), side), np.stack([as_published(pose, side) for pose in marks])
    )


def test_the_stickman_is_the_published_one():
    with np.load(shared("golden/seed1/bilayer.npz")) as stored:
        poses = np.stack([stored["input_source_poses"], stored["input_target_poses"]])
        expected = stored["input_stickman_u8"].transpose(1, 2, 0)
    first, second = stickman.draw(poses)
    np.testing.assert_array_equal(first, expected)
    assert (second != expected).any()


def test_the_stickmans_canvas_and_lines():
    drawing = stickman.draw(np.full((1, 68, 2), 3.0))[0]
    assert (drawing == 1).all()  # nothing but the canvas, which is not black
    marks = np.full((68, 2), 3.0)
    marks[17:22] = np.stack([np.linspace(-0.5, 0.5, 5), np.zeros(5)], 1)  # a level brow
    column = stickman.draw(marks[None])[0][:, 128]
    assert np.flatnonzero((column == (255, 0, 0)).all(1)).tolist() == [127, 128, 129]
    assert (column != 1).any(1).sum() == 3  # no grey beside it


def test_the_contours_lie_on_black_and_are_anti_aliased():
    drawing = contours.draw(np.full((1, 68, 2), 3.0))[0]
    assert not drawing.any()
    marks = np.full((68, 2), 3.0)
    marks[17:22] = np.stack([np.linspace(-0.5, 0.5, 5), np.zeros(5) + 0.004], 1)
    column = contours.draw(marks[None])[0][:, 112].astype(float)
    assert column[:, 0].sum() / 255 == pytest.approx(2 * 100 / 72, abs=0.3)  # two points, in pixels
    assert 0 < np.count_nonzero((column[:, 0] > 0) & (column[:, 0] < 255)) <= 2


@pytest.mark.parametrize(("draw", "side"), DRAWINGS)
def test_a_drawing_lies_on_its_landmarks_and_moves_with_them(draw: Callable, side: int):
    poses = [puppet(), puppet() + (0.1, -0.06), puppet(yaw_deg=12), puppet(jaw_deg=15), puppet(scale=1 / 20)]
    drawings = draw(np.stack(poses))
    for lines, *colours in (JAW, BROW, BROWS):
        colour = colours[side == 224]
        if colour is None:
            continue
        truth = [dense(pose, lines, side) for pose in poses]
        assert all(farthest(truth[0], moved) > 3 for moved in truth[1:3])
        for drawing, points in zip(drawings, truth, strict=True):
            pixels = drawn(drawing, colour)
            assert farthest(points, pixels) < 1.5  # every place of the line is drawn, and nothing beside it
            assert farthest(pixels, points) < 2.5
        moved = drawn(drawings[1], colour).mean(0) - drawn(drawings[0], colour).mean(0)
        assert np.abs(moved - (0.1 * side / 2, -0.06 * side / 2)).max() < 1


@pytest.mark.parametrize(("draw", "side"), DRAWINGS)
def test_each_pose_of_a_batch_is_drawn_alone(draw: Callable, side: int):
    poses = np.stack([puppet(yaw_deg=yaw) for yaw in (0, 20, -30)])
    drawings = draw(poses)
    assert drawings.shape == (3, side, side, 3)
    np.testing.assert_array_equal(draw(poses[::-1]), drawings[::-1])
    for pose, drawing in zip(poses, drawings, strict=True):
        np.testing.assert_array_equal(draw(pose[None])[0], drawing)


@pytest.mark.parametrize("draw", [stickman.draw, contours.draw])
def test_what_leaves_the_frame_is_cut_and_moves_nothing_else(draw: Callable):
    inside, outside = puppet(), puppet()
    outside[8] = (outside[8][0], 1.4)  # the chin's tip
    before, after = draw(np.stack([inside, outside]))
    brow, jaw = (BROW[1], JAW[1]) if draw is stickman.draw else (BROWS[2], JAW[2])
    np.testing.assert_array_equal(drawn(after, brow), drawn(before, brow))
    assert drawn(after, jaw)[:, 1].max() == len(after) - 0.5 > drawn(before, jaw)[:, 1].max()


@pytest.mark.parametrize("draw", [stickman.draw, contours.draw])
@pytest.mark.parametrize("marks", [np.zeros((68, 2)), np.zeros((1, 5, 2)), np.full((1, 68, 2), np.nan)])
def test_what_is_no_pose_is_refused(draw: Callable, marks: np.ndarray):
    with pytest.raises(ValueError, match="finite landmarks"):
        draw(marks)
