"""Training pairs as adapters read them: windows and landmarks move as the crops of their frames do."""

import numpy as np
import pytest
import torch

from model.frame.coords import apply_affine
from pipeline.methods.views import ClipView
from pipeline.store.fits import FitTable
from pipeline.training.augment import recrop
from pipeline.training.dataset import Pairs
from tests.small_methods import CLIPS, CPU, SIZE, SmallWorld, make_small_world

ANNA, BERTA = CLIPS
SOURCES, DRIVERS = ((ANNA, 1), (BERTA, 3), (ANNA, 2)), ((ANNA, 4), (BERTA, 5), (ANNA, 3))


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> SmallWorld:
    return make_small_world(tmp_path_factory.mktemp("pairs"))


@pytest.fixture(scope="module")
def pairs(world) -> Pairs:
    fits = FitTable.read(world.folder / "fits" / world.head.name / "eval.parquet", beside=["landmarks"])

    def near(frames) -> ClipView:
        clips, numbers = zip(*frames, strict=True)
        return ClipView(lambda: np.zeros(0), SIZE, np.array(clips, object), np.array(numbers), fits, CPU)

    views = near(SOURCES), near(DRIVERS)
    images = torch.rand(2, len(SOURCES), 3, *SIZE, generator=torch.Generator().manual_seed(0))
    return Pairs(*images, views[0].fit(), views[1].fit(), views)


def test_without_a_crop_everything_is_the_clips(pairs):
    for view, near in zip(pairs.views(), pairs.near, strict=True):
        assert view.size_hw == SIZE
        assert torch.equal(view.landmarks(1, 1), near.landmarks(1, 1))
        assert torch.equal(view.fit(2).pose, near.fit(2).pose)


def test_windows_and_landmarks_go_where_the_crop_puts_the_frame(pairs):
    """A point of the head and a landmark at the same place stay at the same place."""
    moved = recrop(pairs, 0.2, 0.1, 7, 3)
    points = torch.tensor([[0.3, -0.2], [-0.5, 0.4]])
    for view, near, (scale, shift) in zip(moved.views(), pairs.near, moved.crops, strict=True):
        assert torch.equal(view.fit().tracker_map, view.fit(1).tracker_map.unflatten(0, (-1, 2))[:, 1])
        was, is_now = near.fit(1, 1), view.fit(1, 1)
        each = [part.repeat_interleave(3, 0) for part in (scale, shift)]
        placed = apply_affine(was.tracker_map, points.expand(len(was), 2, 2))
        wanted = each[0] * placed + each[1].transpose(1, 2)
        torch.testing.assert_close(apply_affine(is_now.tracker_map, points.expand(len(was), 2, 2)), wanted)
        assert torch.equal(is_now.pose, was.pose)
        torch.testing.assert_close(view.landmarks(), scale * near.landmarks() + shift.transpose(1, 2))
        torch.testing.assert_close(view.landmarks(1, 1), each[0] * near.landmarks(1, 1) + each[1].transpose(1, 2))
    assert not torch.allclose(moved.crops[0][1], moved.crops[1][1], atol=1e-2)


def test_a_share_reads_its_own_frames_and_crops(pairs):
    moved = recrop(pairs, 0.2, 0.1, 7, 3)
    for whole, mine in zip(moved.views(), moved.share(1, 2).views(), strict=True):
        assert torch.equal(mine.images(), whole.images()[1::2])
        assert torch.equal(mine.landmarks(1), whole.landmarks(1).unflatten(0, (-1, 2))[1::2].flatten(0, 1))
        assert torch.equal(mine.fit(1).tracker_map, whole.fit(1).tracker_map.unflatten(0, (-1, 2))[1::2].flatten(0, 1))


def test_pairs_that_do_not_say_which_frames_they_are_have_nothing_near(pairs):
    view, _ = Pairs(pairs.source, pairs.driving, pairs.fit_src, pairs.fit_drv).views()
    assert torch.equal(view.fit().pose, pairs.fit_src.pose)
    with pytest.raises(ValueError, match="do not say which frames they are"):
        view.landmarks()
