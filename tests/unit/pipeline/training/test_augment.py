"""Colours of training pairs: the same change for both frames; crops: one of its own for each, and the fit follows."""

from types import SimpleNamespace

import pytest
import torch

from model.heads.fit import HeadFit
from pipeline.training.augment import recolour, recrop
from pipeline.training.dataset import Pairs


def batch() -> Pairs:
    images = torch.rand(2, 4, 3, 6, 8, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.1
    fit = SimpleNamespace()
    return Pairs(images[0], images[1], fit, fit)


def test_zero_changes_nothing():
    before = batch()
    assert recolour(before, 0.0, 1, 2) is before


def test_seed_and_step_decide():
    again = [recolour(batch(), 0.2, *key).source for key in ((1, 5), (1, 5), (1, 6), (2, 5))]
    assert torch.equal(again[0], again[1])
    assert not torch.allclose(again[0], again[2], atol=1e-3)
    assert not torch.allclose(again[0], again[3], atol=1e-3)


def test_both_frames_change_alike_and_fits_stay():
    before = batch()
    same = Pairs(before.source, before.source.clone(), before.fit_src, before.fit_drv)
    after = recolour(same, 0.2, 0, 0)
    assert torch.equal(after.source, after.driving)
    assert after.fit_src is same.fit_src
    assert not torch.allclose(after.source[0] / same.source[0], after.source[1] / same.source[1], atol=1e-2)


def test_grey_only_changes_its_gain():
    grey = torch.full((64, 3, 2, 2), 0.3)
    change = (recolour(Pairs(grey, grey, None, None), 0.1, 0, 0).source / grey).log()
    assert change.abs().max() <= 2 * 0.1 * (1 + 0.5) + 1e-6
    assert change.std() == pytest.approx(0.1 * (2 / 3) ** 0.5, rel=0.3)


def spots(count: int, size_hw: tuple[int, int]) -> tuple[torch.Tensor, HeadFit, torch.Tensor]:
    """Soft white spots, fits whose tracker maps carry (0.5, -0.5) onto them, and where they lie in ndc."""
    generator = torch.Generator().manual_seed(3)
    maps = torch.tensor([0.8, 0.1, 0.0, -0.1, 0.6, 0.0]).repeat(count, 1)
    maps[:, [2, 5]] = 0.4 * torch.rand(count, 2, generator=generator) - 0.2
    points = maps.unflatten(1, (2, 3)) @ torch.tensor([0.5, -0.5, 1.0])
    height, width = size_hw
    x, y = (torch.arange(width) + 0.5) / width * 2 - 1, ((torch.arange(height) + 0.5) / height * 2 - 1)[:, None]
    light = torch.stack([torch.exp(-((x - px) ** 2 + (y - py) ** 2) / 0.01) for px, py in points])
    empty = torch.zeros(count, 0)
    return light[:, None].repeat(1, 3, 1, 1), HeadFit(empty, empty, empty, empty, maps), points


def centre_of(img: torch.Tensor) -> torch.Tensor:
    """Centre of light (B, 2) in ndc."""
    light = img.mean(1)
    height, width = light.shape[1:]
    x, y = (torch.arange(width) + 0.5) / width * 2 - 1, (torch.arange(height) + 0.5) / height * 2 - 1
    total = light.sum((1, 2))
    return torch.stack([(light.sum(1) * x).sum(1) / total, (light.sum(2) * y).sum(1) / total], -1)


def test_a_fit_moves_with_its_crop_and_each_frame_has_its_own():
    img, fit, points = spots(6, (60, 80))
    torch.testing.assert_close(centre_of(img), points, atol=2e-3, rtol=0)
    moved = recrop(Pairs(img, img, fit, fit), 0.2, 0.1, 0, 0)
    for frames, found in ((moved.source, moved.fit_src), (moved.driving, moved.fit_drv)):
        expected = found.tracker_map.unflatten(1, (2, 3)) @ torch.tensor([0.5, -0.5, 1.0])
        assert (expected - points).abs().amax(1).min() > 0.005
        torch.testing.assert_close(centre_of(frames), expected, atol=5e-3, rtol=0)
    assert (moved.fit_src.tracker_map - moved.fit_drv.tracker_map).abs().max() > 0.05
    assert torch.equal(moved.fit_src.shape, fit.shape)


def test_crops_that_do_not_move_are_left_alone_and_others_repeat_with_seed_and_step():
    img, fit, _ = spots(2, (16, 24))
    before = Pairs(img, img, fit, fit)
    assert recrop(before, 0.0, 0.0, 0, 0) is before
    again = [recrop(before, 0.2, 0.1, *key).driving for key in ((1, 5), (1, 5), (1, 6), (2, 5))]
    assert torch.equal(again[0], again[1])
    assert not torch.allclose(again[0], again[2], atol=1e-3)
    assert not torch.allclose(again[0], again[3], atol=1e-3)
