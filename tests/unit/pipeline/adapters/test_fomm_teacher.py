"""FOMM's section becomes its network, its start and its lesson."""

import pytest
import torch
from pydantic import ValidationError

from model.heads.head import HeadModel
from model.training.perceptual import Perceptual
from pipeline.adapters.fomm.teacher import TEACHER
from pipeline.params.sections.fomm import FommSection
from pipeline.params.tree import load_params
from tests.helpers import ROOT, random_head
from tests.toy_networks import Trunk

SMALL = load_params(ROOT / "tests" / "data" / "small.yaml")
RECIPE, SECTION = SMALL.recipes["toy64"], SMALL.networks["toy64"].fomm


def changed(**changes) -> dict:
    """SMALL's section with other values of `generator` and of itself."""
    values = SECTION.model_dump()
    sizes = values["generator"] | {key: value for key, value in changes.items() if key in values["generator"]}
    return values | {key: value for key, value in changes.items() if key in values} | {"generator": sizes}


def test_sizes_are_the_sections_and_maps_start_as_the_identity():
    section = FommSection(**changed(num_kp=4, width=8, start="near_source"))
    network = TEACHER.build(RECIPE, section, "", HeadModel(random_head()))
    assert network.config.image_px == RECIPE.image_px
    assert {key: getattr(network.config, key) for key in section.generator.model_fields_set} == (
        section.generator.model_dump()
    )
    assert network.kp_detector.jacobian.bias.tolist() == [1, 0, 0, 1] * 4
    assert not network.generator.bottleneck.r0.conv2.weight.any()


def test_the_published_start_leaves_the_generator_as_torch_makes_it():
    section = FommSection(**changed(start="published", num_down=1))
    network = TEACHER.build(RECIPE, section, "", HeadModel(random_head()))
    assert network.generator.bottleneck.r0.conv2.weight.any()
    assert not network.kp_detector.jacobian.weight.any()


def test_the_lesson_learns_at_the_sections_rates():
    network = TEACHER.build(RECIPE, SECTION, "", HeadModel(random_head()))
    taught = TEACHER.lesson(network, SECTION, Perceptual(Trunk(), 2, 1))
    (player,) = taught.players().values()
    rates = SECTION.learning_rate
    assert [group.rate for group in player] == [rates.generator, rates.keypoints, rates.last]
    last = {id(p) for p in player[2].parameters}
    ends = (network.generator.final, network.generator.dense_motion_network.mask, network.kp_detector.kp)
    assert all(id(end.weight) in last for end in ends)
    assert sum(len(group.parameters) for group in player) == len(list(network.parameters()))


@pytest.mark.parametrize("sizes", [{"num_down": 1}, {"width": 5}])
def test_a_start_that_the_sizes_cannot_have_is_refused(sizes):
    with pytest.raises(ValidationError, match=r"start near_source needs generator\.num_down 0 and generator\.width 6"):
        FommSection(**changed(start="near_source", **sizes))
    FommSection(**changed(start="published", **sizes))


def test_the_papers_profile_has_the_published_sizes_weights_and_rates():
    params = load_params(ROOT / "profiles" / "voxceleb.yaml")
    section = params.networks["paper256"].fomm
    with torch.device("meta"):
        network = TEACHER.build(params.recipes["paper256"], section, "", HeadModel(random_head()))
    counts = [sum(p.numel() for p in part.parameters()) for part in (network.generator, network.kp_detector)]
    assert counts == [45_575_391, 14_215_368]
    rates, losses = section.learning_rate, section.losses
    assert {rates.generator, rates.keypoints, rates.last} == {2e-4}
    assert (losses.perceptual, losses.equivariance_value, losses.equivariance_jacobian) == (10, 10, 10)
    assert (losses.pixel, losses.warped, losses.perceptual_scales) == (0, 0, 4)
