"""Sums with stated roundings against exact rational numbers, and heads posed with them against `HeadModel`."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from model.heads.head import HeadModel, load_head
from pipeline.puppets.exact.arithmetic import between, exp, fused, turned, weighted_sum, weighted_sum_of_one
from pipeline.puppets.exact.posing import Posing
from tests.helpers import random_head
from tests.puppet_studio import ASSETS


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def nearest_float32(value: Fraction) -> np.float32:
    """Round a rational number once."""
    close = np.float32(float(value))
    candidates = [np.nextafter(close, np.float32(-np.inf)), close, np.nextafter(close, np.float32(np.inf))]
    return min(candidates, key=lambda number: abs(Fraction(float(number)) - value))


def test_a_fused_step_is_rounded_once():
    total, factor, values = random(500), np.float32(0.1), random(500, seed=1)
    wanted = [
        nearest_float32(Fraction(float(t)) + Fraction(float(factor)) * Fraction(float(v)))
        for t, v in zip(total, values, strict=True)
    ]
    assert np.array_equal(fused(total, factor, values), np.array(wanted))


def test_sums_of_weighted_rows_are_products_of_matrices():
    weights, values = random(3, 70), random(70, 53, seed=1)
    wanted = weights.astype(float) @ values.astype(float)
    assert np.allclose(weighted_sum(weights, values), wanted, atol=2e-5)
    for row in range(3):
        assert np.allclose(weighted_sum_of_one(weights[row], values), wanted[row], atol=2e-5)
    begun = random(1, 53, seed=2)
    assert np.allclose(weighted_sum(weights, values, begun), wanted + begun, atol=2e-5)


def test_turned_points_are_products_of_matrices():
    matrices, points = random(4, 3, 3), random(4, 3, 20, seed=1)
    assert np.allclose(turned(matrices, points), matrices @ points, atol=1e-5)
    assert np.allclose(turned(matrices, points[:1]), matrices @ points[0], atol=1e-5)


def test_between_reaches_both_ends():
    start, end = random(200), random(200, seed=1)
    assert np.array_equal(between(start, end, np.zeros(200, np.float32)), start)
    assert np.array_equal(between(start, end, np.ones(200, np.float32)), end)
    assert np.allclose(between(start, end, np.full(200, 0.3, np.float32)), 0.7 * start + 0.3 * end, atol=1e-6)


def test_exp_is_good_to_three_units_in_the_last_place():
    values = np.concatenate([np.linspace(-80, 80, 20001), [0, -1e-7, 1e-7]]).astype(np.float32)
    wanted = np.exp(values.astype(float))
    assert (np.abs(exp(values) - wanted) <= 3 * np.spacing(wanted.astype(np.float32))).all()
    assert exp(values).dtype == np.float32
    doubles = np.array([0.25, -3.0])
    assert np.array_equal(exp(doubles), np.exp(doubles))


@pytest.mark.parametrize("name", ["puppet", "puppet_face"])
@pytest.mark.parametrize("count", [1, 5])
def test_posed_heads_are_those_of_the_model(name, count):
    head = load_head(ASSETS / f"{name}.npz")
    posing = Posing(head)
    for same_person in (True, False):
        shape = torch.from_numpy(random(1 if same_person else count, head.num_shape)).expand(count, -1)
        expression = 0.3 * torch.from_numpy(random(count, head.num_expression, seed=1))
        pose = 0.2 * torch.from_numpy(random(count, head.num_pose, seed=2))
        wanted = head.vertices(shape, expression, pose)
        assert torch.allclose(posing.vertices(shape, expression, pose), wanted, atol=5e-5)
        marks = posing.landmarks(shape, expression, pose)
        assert torch.allclose(marks, head.landmarks_of(wanted, pose), atol=5e-5)


def test_another_person_is_not_the_last_one():
    head = load_head(ASSETS / "puppet.npz")
    posing, still = Posing(head), (torch.zeros(2, head.num_expression), torch.zeros(2, head.num_pose))
    first, second = (torch.from_numpy(random(1, head.num_shape, seed=seed)).expand(2, -1) for seed in (0, 1))
    for shape in (first, second, first):
        assert torch.allclose(posing.vertices(shape, *still), head.vertices(shape, *still), atol=5e-5)


def test_a_head_with_a_pose_basis_is_refused():
    head = random_head(seed=3)
    model = HeadModel(head) if not isinstance(head, HeadModel) else head
    if not model.pose_basis.shape[0]:
        model.pose_basis = torch.zeros(9, 3 * model.num_vertices)
    with pytest.raises(ValueError, match="pose basis"):
        Posing(model)
