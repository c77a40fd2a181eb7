"""Distortions and the two losses of equivariance: against plain loops, derivatives of torch, and a known detector."""

import math

import numpy as np
import pytest
import torch

from model.baselines.shared.equivariance import (
    Distortion,
    DistortionConfig,
    jacobian_equivariance,
    value_equivariance,
)
from model.baselines.shared.keypoints import position_grid

PUBLISHED = DistortionConfig(sigma_affine=0.05, sigma_tps=0.005, points_tps=5)
STRONG = DistortionConfig(sigma_affine=0.2, sigma_tps=0.05, points_tps=4)


def drawn(config: DistortionConfig = STRONG, count: int = 2, size: tuple[int, int] = (7, 11)) -> Distortion:
    torch.manual_seed(3)
    return Distortion.draw(config, torch.zeros(count, 3, *size, dtype=torch.float64))


def points(count: int = 2, number: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return 2 * torch.rand(count, number, 2, dtype=torch.float64, generator=generator) - 1


def by_loops(made: Distortion, at: torch.Tensor) -> np.ndarray:
    """The published function, a number at a time."""
    side = math.isqrt(made.weights.shape[1])
    axis = [2 * i / (side - 1) - 1 for i in range(side)]
    found = np.zeros(at.shape)
    for b in range(len(at)):
        (a, c, e), (d, f, g) = made.affine[b].tolist()
        for n, (x, y) in enumerate(at[b].tolist()):
            bend = 0.0
            for row in range(side):
                for column in range(side):
                    r = abs(x - axis[column]) + abs(y - axis[row])
                    bend += made.weights[b, row * side + column].item() * r * r * math.log(r + 1e-6)
            found[b, n] = a * x + c * y + e + bend, d * x + f * y + g + bend
    return found


def test_positions_are_the_published_function():
    made, at = drawn(), points()
    np.testing.assert_allclose(made.positions(at).numpy(), by_loops(made, at), rtol=0, atol=1e-12)


@pytest.mark.parametrize("config", [PUBLISHED, STRONG])
def test_the_jacobian_is_the_derivative_of_positions(config: DistortionConfig):
    made, at = drawn(config), points()
    whole = torch.autograd.functional.jacobian(made.positions, at)  # (B, N, 2, B, N, 2)
    for b in range(len(at)):
        for n in range(at.shape[1]):
            torch.testing.assert_close(made.jacobian(at)[b, n], whole[b, n, :, b, n], rtol=0, atol=1e-10)
    assert torch.autograd.gradcheck(made.jacobian, at.requires_grad_())


def test_an_image_is_fetched_from_the_positions_and_mirrored_beyond_its_edges():
    height, width = 9, 14
    made = drawn(DistortionConfig(sigma_affine=0.05, sigma_tps=0.01, points_tps=5))
    x, y = position_grid((height, width), made.affine).unbind(-1)
    ramps = torch.stack([x, y])[None].repeat(2, 1, 1, 1)  # linear, so that sampling is exact
    at = made.positions(position_grid((height, width), made.affine).flatten(0, 1).expand(2, -1, -1))
    mirrored = torch.where(at > 1, 2 - at, torch.where(at < -1, -2 - at, at))
    assert (at.abs() > 1).any()
    found = made.image(ramps, align_corners=True).permute(0, 2, 3, 1).flatten(1, 2)
    torch.testing.assert_close(found, mirrored, rtol=0, atol=1e-12)


def test_draws_follow_the_stream_and_the_deviations():
    torch.manual_seed(0)
    like = torch.zeros(4000, 1)
    made = Distortion.draw(PUBLISHED, like)
    off = made.affine - torch.eye(2, 3)
    assert off.std().item() == pytest.approx(0.05, rel=0.02)
    assert made.weights.std().item() == pytest.approx(0.005, rel=0.02)
    assert abs(off.mean().item()) < 1e-3
    state = torch.get_rng_state()
    first = Distortion.draw(PUBLISHED, like)
    assert not torch.equal(first.affine, made.affine)
    torch.set_rng_state(state)
    again = Distortion.draw(PUBLISHED, like)
    assert torch.equal(first.affine, again.affine)
    assert torch.equal(first.weights, again.weights)


@pytest.mark.parametrize("depth", [False, True])
def test_a_detector_that_follows_the_image_loses_nothing(depth: bool):
    """Keypoints fixed to the image: at q in the distorted one, at positions(q) in the other; so are their maps."""
    made, at = drawn(PUBLISHED), points()
    there, maps = made.positions(at), torch.eye(2).double() + 0.3 * points(2, 12).view(2, 6, 2, 2)
    turned = made.jacobian(at) @ maps
    assert jacobian_equivariance(turned, maps, at, made).item() == pytest.approx(0, abs=1e-10)
    assert jacobian_equivariance(maps, maps, at, made).item() > 1e-3
    if depth:
        there, at = (torch.cat([value, value[..., :1] * k], -1) for k, value in ((2.0, there), (3.0, at)))
    assert value_equivariance(there, at, made).item() == pytest.approx(0, abs=1e-12)
    assert value_equivariance(there + 0.25, at, made).item() == pytest.approx(0.25)


def test_losses_are_the_published_ones_number_by_number():
    made, at = drawn(), points()
    there, first, second = at.flip(1), points(2, 12).view(2, 6, 2, 2), points(2, 12).flip(1).view(2, 6, 2, 2)
    value = np.abs(there.numpy() - by_loops(made, at)).mean()
    assert value_equivariance(there, at, made).item() == pytest.approx(value, rel=1e-12)
    slope = made.jacobian(at).numpy()
    gaps = [
        np.abs(np.eye(2) - np.linalg.inv(first[b, k].numpy()) @ slope[b, k] @ second[b, k].numpy()).mean()
        for b in range(2)
        for k in range(6)
    ]
    assert jacobian_equivariance(first, second, at, made).item() == pytest.approx(np.mean(gaps), rel=1e-9)


def test_autocast_narrows_no_position():
    made, at = drawn(PUBLISHED), points()
    made, at = Distortion(made.affine.float(), made.weights.float()), at.float()
    maps = torch.eye(2).expand(2, 6, 2, 2)
    wanted = made.positions(at), made.jacobian(at), jacobian_equivariance(maps, maps, at, made)
    with torch.autocast("cpu", torch.bfloat16):
        found = made.positions(at), made.jacobian(at), jacobian_equivariance(maps, maps, at, made)
    for a, b in zip(found, wanted, strict=True):
        assert torch.equal(a, b)
