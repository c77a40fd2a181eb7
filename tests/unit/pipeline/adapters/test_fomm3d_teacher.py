"""3D-FOMM's section becomes its network, its start and its lesson; fitted heads become its pose teacher."""

from dataclasses import dataclass

import pytest
import torch
from pydantic import ValidationError

from model.baselines.fomm3d.lesson import DRIVING_ANGLES, SOURCE_ANGLES
from model.baselines.fomm3d.network import Fomm3d
from model.baselines.fomm3d.pose import rotation
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.heads.rotation import euler_to_matrix
from model.training.perceptual import Perceptual
from pipeline.adapters.fomm3d.teacher import TEACHER, head_angles_deg
from pipeline.methods.teaching import supervision, teacher_named
from pipeline.params.sections.fomm3d import Fomm3dSection
from pipeline.params.tree import load_params
from tests.helpers import ROOT, random_head
from tests.toy_networks import Trunk, fit_of

SMALL = load_params(ROOT / "tests" / "data" / "small.yaml")
RECIPE, SECTION = SMALL.recipes["toy64"], SMALL.networks["toy64"].fomm3d
HEAD = HeadModel(random_head())


@dataclass(frozen=True)
class FittedView:
    fits: HeadFit

    def fit(self, before: int = 0, after: int = 0) -> HeadFit:
        assert not before
        assert not after
        return self.fits


def changed(**changes) -> dict:
    """SMALL's section with other values of `generator` and of itself."""
    values = SECTION.model_dump()
    sizes = values["generator"] | {key: value for key, value in changes.items() if key in values["generator"]}
    return values | {key: value for key, value in changes.items() if key in values} | {"generator": sizes}


def test_angles_turn_keypoints_as_the_head_turns_its_points():
    """A head's points have y up and z towards the viewer, keypoints y down and z away."""
    torch.manual_seed(0)
    turn = euler_to_matrix(torch.rand(6, 3, dtype=torch.float64) * 2 - 1)
    points = torch.randn(6, 3, 9, dtype=torch.float64)
    flip = torch.tensor([[1.0], [-1.0], [-1.0]], dtype=torch.float64)
    keypoints = rotation(*head_angles_deg(turn).unbind(1)) @ (flip * points)
    torch.testing.assert_close(keypoints, flip * (turn @ points), rtol=0, atol=5e-3)  # pi is 3.14 there


@pytest.mark.parametrize(("which", "axis", "angle"), [(1, 0, 20.0), (0, 1, -20.0), (2, 2, -20.0)])
def test_each_angle_has_its_place_and_sign(which: int, axis: int, angle: float):
    """`euler_to_matrix` takes pitch, yaw, roll; the teacher gives yaw, pitch, roll."""
    angles = torch.zeros(1, 3, dtype=torch.float64)
    angles[0, axis] = 20.0
    wanted = torch.zeros(1, 3, dtype=torch.float64)
    wanted[0, which] = angle
    torch.testing.assert_close(head_angles_deg(euler_to_matrix(angles.deg2rad())), wanted, rtol=0, atol=1e-9)


def test_the_lesson_is_told_the_angles_of_both_frames_and_others_nothing():
    source, driving = FittedView(fit_of(HEAD, seed=1)), FittedView(fit_of(HEAD, seed=2))
    told = supervision(TEACHER, source, driving, HEAD)
    assert set(told) == {SOURCE_ANGLES, DRIVING_ANGLES}
    for name, view in ((SOURCE_ANGLES, source), (DRIVING_ANGLES, driving)):
        assert torch.equal(told[name], head_angles_deg(HEAD.head_rotation(view.fits.pose)))
    assert told[SOURCE_ANGLES].shape == (2, 3)
    assert supervision(teacher_named("headgan"), source, driving, HEAD) == {}


def test_sizes_start_and_rates_are_the_sections():
    network = TEACHER.build(RECIPE, SECTION, "", HEAD)
    assert isinstance(network, Fomm3d)
    sizes = SECTION.generator.model_dump()
    assert {name: getattr(network.config, name) for name in sizes} == sizes
    assert network.config.image_px == RECIPE.image_px
    assert not network.he_estimator.fc_t.weight.any()
    plain = TEACHER.build(RECIPE, Fomm3dSection(**changed(start="published")), "", HEAD)
    assert plain.he_estimator.fc_t.weight.any()
    groups = TEACHER.lesson(network, SECTION, Perceptual(Trunk(), 2, 1)).players()
    rates = SECTION.learning_rate
    assert [group.rate for group in groups["generator"]] == [rates.generator, rates.keypoints, rates.last]
    assert [group.rate for group in groups["discriminator"]] == [rates.discriminator]


@pytest.mark.parametrize("sizes", [{"decoder": "spade"}, {"width": 5}, {"largest": 20}])
def test_a_start_that_the_sizes_cannot_have_is_refused(sizes):
    with pytest.raises(ValidationError, match=r"start near_source needs generator\.decoder original"):
        Fomm3dSection(**changed(start="near_source", **sizes))
    Fomm3dSection(**changed(start="published", **sizes))


def test_a_depth_that_does_not_divide_the_channels_is_refused():
    with pytest.raises(ValidationError, match=r"generator\.depth 5 does not divide generator\.largest 32"):
        Fomm3dSection(**changed(depth=5))


def test_the_papers_profile_has_the_published_sizes_weights_and_rates():
    params = load_params(ROOT / "profiles" / "voxceleb.yaml")
    section = params.networks["paper256"].fomm3d
    with torch.device("meta"):
        network = TEACHER.build(params.recipes["paper256"], section, "", HEAD)
    parts = (network.generator, network.kp_detector, network.he_estimator)
    counts = [sum(p.numel() for p in part.parameters()) for part in parts]
    assert counts == [100_988_176, 41_940_047, 30_254_838]
    rates, losses = section.learning_rate, section.losses
    assert {rates.generator, rates.keypoints, rates.last, rates.discriminator} == {2e-4}
    assert (losses.perceptual, losses.perceptual_scales, losses.adversarial, losses.feature_matching) == (10, 4, 1, 10)
    assert (losses.equivariance, losses.keypoints, losses.head_pose, losses.deformation) == (10, 10, 20, 5)
    assert losses.pixel == 0
