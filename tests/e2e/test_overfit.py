"""The networks of params.yaml learn eight frames by heart, to the L1 that benchmarks/overfit.py states."""

import pytest
import torch

from benchmarks.overfit import FRAMES, GOALS, eight_frames, overfit
from model.method.parts import BACKGROUND, PARTS


def test_the_eight_frames_differ_and_have_fits_landmarks_and_parts():
    clip = eight_frames()
    frames = clip.images()
    assert len(frames) == len(clip.fit()) == len(clip.landmarks()) == len(clip.labels()) == FRAMES
    assert min((a - b).abs().mean() for i, a in enumerate(frames) for b in frames[:i]) * 255 > 2
    eyes, shown = PARTS.index("eyes"), clip.labels()
    for row in range(FRAMES):
        assert (shown[row] != BACKGROUND).float().mean() > 0.3
        place = (shown[row] == eyes).nonzero().float().mean(0).flip(0)
        size = torch.tensor(shown.shape[:0:-1])
        marks = (clip.landmarks()[row, 36:48].mean(0) + 1) / 2 * size - 0.5
        torch.testing.assert_close(place, marks, rtol=0, atol=3)


def test_a_window_ends_with_the_clip():
    clip = eight_frames()
    fits = clip.fit(2, 1)
    near = [max(0, min(FRAMES - 1, row + k)) for row in range(FRAMES) for k in (-2, -1, 0, 1)]
    assert torch.equal(fits.pose, clip.fits.pose[near])


@pytest.mark.slow
@pytest.mark.parametrize("method", GOALS)
def test_eight_frames_are_learned_by_heart(method):
    goal = GOALS[method]
    copied, learned = overfit(method, torch.device("cpu"), goal.steps)
    assert copied > 1.5 * goal.l1
    assert learned < goal.l1
