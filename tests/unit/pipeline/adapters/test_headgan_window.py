"""HeadGAN's window: the two frames before the driving one, oldest first."""

import pytest
import torch

from tests.small_methods import CLIPS, SmallWorld, make_small_world

CLIP = next(iter(CLIPS))


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> SmallWorld:
    return make_small_world(tmp_path_factory.mktemp("window"))


def pictures(world: SmallWorld, frame: int) -> torch.Tensor:
    """The three pictures (3, 3, n, n) that drive by a frame."""
    runner = world.runner("headgan")
    source, driving = world.view(runner, (CLIP, 0)), world.view(runner, (CLIP, frame))
    return runner.adapter.drive(source, driving, torch.tensor([True])).signals["driving_nmfc"].unflatten(1, (3, 3))[0]


def test_a_window_is_the_frame_and_the_two_before_it(world):
    alone = [pictures(world, frame)[-1] for frame in range(5)]
    assert len({frame.sum().item() for frame in alone}) == 5
    for frame in (2, 3, 4):
        torch.testing.assert_close(pictures(world, frame), torch.stack(alone[frame - 2 : frame + 1]))
    torch.testing.assert_close(pictures(world, 1), torch.stack([alone[0], alone[0], alone[1]]))
