"""Frames that are decoded when asked for, and the few that are held."""

import numpy as np
import pytest

from pipeline.store.frames import FrameView, HeldFrames


class Counted:
    """Six one-pixel images that say how often they were asked for."""

    def __init__(self) -> None:
        self.images = np.arange(6 * 3, dtype=np.uint8).reshape(6, 1, 1, 3)
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        self.asked += rows.tolist()
        return self.images[rows]


@pytest.mark.parametrize(("budget", "asked"), [(100, [4, 1, 0]), (6, [4, 1, 0, 0]), (0, [4, 1, 4, 1, 0, 1, 0, 4])])
def test_held_frames_are_asked_for_once_while_they_fit(budget, asked):
    counted = Counted()
    held = HeldFrames(counted, budget)
    for rows in ([4, 1], [4, 1, 1, 0], [1, 0, 4]):
        seen = held[np.array(rows)]
        np.testing.assert_array_equal(seen, counted.images[rows])
        seen[:] = 0  # whoever changes what was returned changes nothing that is held
    assert counted.asked == asked


def test_a_view_is_indexed_like_an_array():
    counted = Counted()
    rows = np.array([5, 0, 0, 2])
    view, array = FrameView(counted, rows), counted.images[rows]
    for index in (0, -1, slice(1, 3), np.array([3, 0]), rows == 0):
        np.testing.assert_array_equal(view[index], array[index])
    assert [image.tolist() for image in view] == array.tolist()
    assert len(view) == 4
