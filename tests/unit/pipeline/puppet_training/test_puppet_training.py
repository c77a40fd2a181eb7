"""What the puppet networks are trained with: jitter that truth follows, a cheap head, verification."""

import numpy as np
import pytest
import torch

from model.heads.camera import CAMERAS
from model.heads.fit import HeadFit
from model.heads.head import HeadModel, load_head
from model.puppet_nets.tracker import load_tracker
from pipeline.puppet_training.augment import (
    SEVERITIES,
    SMEARED,
    Jitter,
    augment,
    gaussian_blur,
    move_camera,
    smear,
    without_face,
)
from pipeline.puppet_training.crops import ASSETS, held_out_crops, puppet_heads
from pipeline.puppet_training.errors import auc
from pipeline.puppet_training.loop import Settings
from pipeline.puppet_training.mirror import mirror_fit, mirror_landmarks
from pipeline.puppet_training.reduced import landmark_head
from pipeline.puppet_training.tracker import train_tracker
from tests.helpers import random_head

JITTER = Jitter(shift_ndc=0.1, log_scale=0.2, log_squeeze=0.2, colour=1.0)


def dots(count: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Black frames with one soft white dot each, and the dot's position as every landmark."""
    generator = torch.Generator().manual_seed(3)
    points_px = torch.tensor([width, height]) * (0.3 + 0.4 * torch.rand(count, 2, generator=generator))
    columns, rows = torch.arange(width) + 0.5, torch.arange(height)[:, None] + 0.5
    frames = torch.stack([torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 6) for x, y in points_px])
    landmarks = (points_px / torch.tensor([width, height]) * 2 - 1)[:, None].expand(count, 68, 2)
    return (255 * frames[:, None].expand(count, 3, height, width)).round().to(torch.uint8), landmarks


def test_landmarks_follow_the_jitter() -> None:
    img, landmarks = dots(8, 96, 120)
    changed = augment(img, landmarks, 64, JITTER, torch.Generator().manual_seed(0))
    clean = changed.severity.max(1).values == 0
    assert clean.sum() >= 2
    grid = (torch.arange(64) + 0.5) / 32 - 1
    light = (changed.img[clean].mean(1) - 0.3).clamp_min(0) ** 2
    weight = light / light.sum((1, 2), keepdim=True)
    centre = torch.stack([(weight.sum(1) * grid).sum(1), (weight.sum(2) * grid).sum(1)], -1)
    torch.testing.assert_close(centre, changed.landmarks_ndc[clean, 0], atol=0.01, rtol=0)
    torch.testing.assert_close(
        changed.landmarks_ndc[clean, 0], landmarks[clean, 0] * changed.scale_xy[clean] + changed.shift_ndc[clean]
    )


def test_a_smear_pulls_blobs_of_some_crops_about_and_leaves_the_rest() -> None:
    img = torch.rand(64, 3, 64, 48, generator=torch.Generator().manual_seed(1))
    img = gaussian_blur(img, torch.full((64,), 2.0))
    smeared = smear(img, torch.Generator().manual_seed(2))
    changed = (smeared - img).abs().amax((1, 2, 3)) > 0
    assert changed.float().mean().item() == pytest.approx(SMEARED, abs=0.15)
    assert img.min() <= smeared.min()
    assert smeared.max() <= img.max()
    worst = (smeared - img)[changed].abs().mean(1).flatten(1)
    assert (worst.amax(1) > 10 * worst.median(1).values).float().mean() > 0.3  # blobs, not the whole picture
    assert torch.equal(smeared, smear(img, torch.Generator().manual_seed(2)))


def test_augmentation_repeats_with_its_seed_and_stays_in_range() -> None:
    img, landmarks = dots(16, 64, 64)
    runs = [augment(img, landmarks, 64, JITTER, torch.Generator().manual_seed(s)) for s in (5, 5, 6)]
    torch.testing.assert_close(runs[0].img, runs[1].img, atol=0, rtol=0)
    assert (runs[0].img - runs[2].img).abs().max() > 0.1
    assert 0 <= runs[0].img.min() <= runs[0].img.max() <= 1
    assert runs[0].severity.shape == (16, len(SEVERITIES))


@pytest.mark.parametrize("kind", sorted(CAMERAS))
def test_camera_follows_the_jitter(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(4, 9, 3, generator=generator)
    points -= points.mean(1, keepdim=True)
    camera = torch.tensor([[0.2, 0.4, -0.3]]) if kind == "scaled_orthographic" else torch.tensor([[0.2, -0.3, 0.5]])
    scale = torch.tensor([[1.1, 1.1], [0.9, 0.9], [1.2, 1.0], [1.0, 1.2]])
    shift = torch.tensor([[0.1, -0.05], [0.0, 0.1], [-0.1, 0.0], [0.05, 0.05]])
    anchor = points.mean(1)
    moved = move_camera(camera.expand(4, 3), kind, anchor, scale, shift)
    before = CAMERAS[kind](anchor[:, None], camera.expand(4, 3))[..., :2]
    after = CAMERAS[kind](anchor[:, None], moved)[..., :2]
    torch.testing.assert_close(after, before * scale[:, None] + shift[:, None])
    if kind == "scaled_orthographic":  # an even jitter is followed exactly by every point
        before = CAMERAS[kind](points[:2], camera.expand(2, 3))[..., :2]
        after = CAMERAS[kind](points[:2], moved[:2])[..., :2]
        torch.testing.assert_close(after, before * scale[:2, None] + shift[:2, None])


def test_blur_spreads_each_image_by_its_own_width() -> None:
    img = torch.zeros(2, 1, 21, 31)
    img[:, :, 10, 15] = 1
    out = gaussian_blur(img, torch.tensor([1.0, 2.0]))
    torch.testing.assert_close(out.sum((1, 2, 3)), torch.ones(2))
    columns = torch.arange(31) - 15.0
    torch.testing.assert_close((out.sum((1, 2)) * columns**2).sum(1), torch.tensor([1.0, 4.0]), atol=0.1, rtol=0)
    torch.testing.assert_close(gaussian_blur(img, torch.zeros(2)), img)


def test_pictures_without_a_face_differ_from_the_crops() -> None:
    img = torch.rand(6, 3, 50, 70, generator=torch.Generator().manual_seed(0))
    out = without_face(img, torch.Generator().manual_seed(1))
    assert out.shape == img.shape
    assert ((out - img).abs().mean((1, 2, 3)) > 0.1).all()


def test_reduced_head_has_the_same_landmarks() -> None:
    head = HeadModel(random_head())
    small = landmark_head(head.arrays)
    generator = torch.Generator().manual_seed(0)
    shape, expression, pose = (torch.randn(3, n, generator=generator) for n in (4, 3, 15))
    torch.testing.assert_close(
        small.landmarks_of(small.vertices(shape, expression, 0.3 * pose)),
        head.landmarks_of(head.vertices(shape, expression, 0.3 * pose)),
        atol=1e-4,
        rtol=0,
    )


def test_area_under_the_curve() -> None:
    assert auc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1.0
    assert auc(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 0.0
    assert auc(np.array([1.0, 3.0]), np.array([0.0, 1.0])) == pytest.approx(0.875)


def test_mirrored_truth_places_mirrored_landmarks() -> None:
    head = load_head(ASSETS / "puppet.npz")
    generator = torch.Generator().manual_seed(0)
    count = 6
    pose = 0.3 * torch.randn(count, head.num_pose, generator=generator)
    pose[:, 3:6] = 0
    camera = torch.tensor([0.07, 1.0, -2.0]) + torch.randn(count, 3, generator=generator) * torch.tensor([0.01, 1, 1])
    fit = HeadFit(
        torch.randn(count, head.num_shape, generator=generator),
        torch.rand(count, head.num_expression, generator=generator),
        pose,
        camera,
        torch.tensor([1.1, 0, 0.2, 0, 0.9, -0.1]).expand(count, 6),
    )
    placed = head.place_landmarks(fit)
    seen = head.place_landmarks(mirror_fit(head.arrays, fit))
    torch.testing.assert_close(seen, mirror_landmarks(placed), atol=0.02, rtol=0)
    assert (seen - placed).abs().max() > 0.1
    torch.testing.assert_close(mirror_landmarks(mirror_landmarks(placed)), placed)


def test_training_the_face_branch_alone_leaves_landmarks_cameras_and_perceptual_features_as_they_were() -> None:
    heads, start = puppet_heads(), ASSETS / "tracker.safetensors"
    crops = held_out_crops(1, 4, 1, heads)
    settings = Settings(1.0, 2, 4, 1e-3, 0.01, bfloat16=False, seed=0)
    with pytest.raises(ValueError, match="give --start"):
        train_tracker(crops, heads, settings, str, None, face_only=True)
    trained = train_tracker(crops, heads, settings, str, start, face_only=True)[0].state_dict()
    before = load_tracker(start).state_dict()
    moved = {name.split(".")[0] for name, value in before.items() if not torch.equal(value, trained[name])}
    assert moved == {"face_trunk", "face_neck", "code_heads"}
