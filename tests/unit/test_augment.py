"""Colours of training pairs: the same change for both frames, decided by seed and step, geometry untouched."""

from types import SimpleNamespace

import pytest
import torch

from pipeline.augment import recolour
from pipeline.dataset import Batch


def batch() -> Batch:
    images = torch.rand(2, 4, 3, 6, 8, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.1
    fit = SimpleNamespace()
    return Batch(images[0], images[1], fit, fit)


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
    same = Batch(before.source, before.source.clone(), before.fit_src, before.fit_drv)
    after = recolour(same, 0.2, 0, 0)
    assert torch.equal(after.source, after.driving)
    assert after.fit_src is same.fit_src
    assert not torch.allclose(after.source[0] / same.source[0], after.source[1] / same.source[1], atol=1e-2)


def test_grey_only_changes_its_gain():
    grey = torch.full((64, 3, 2, 2), 0.3)
    change = (recolour(Batch(grey, grey, None, None), 0.1, 0, 0).source / grey).log()
    assert change.abs().max() <= 2 * 0.1 * (1 + 0.5) + 1e-6
    assert change.std() == pytest.approx(0.1 * (2 / 3) ** 0.5, rel=0.3)
