"""The network of params.yaml learns eight frames by heart, to the L1 that benchmarks/overfit.py states."""

import pytest
import torch

from benchmarks.overfit import FRAMES, GOAL_L1, eight_frames, overfit


def test_the_eight_frames_differ_and_have_a_fit_each():
    frames, fits = eight_frames()
    assert len(frames) == len(fits) == FRAMES
    assert min((a - b).abs().mean() for i, a in enumerate(frames) for b in frames[:i]) * 255 > 2


@pytest.mark.slow
def test_eight_frames_are_learned_by_heart():
    copied, learned = overfit("geom_disp+neural_codes", torch.device("cpu"))
    assert copied > 2 * GOAL_L1
    assert learned < GOAL_L1
