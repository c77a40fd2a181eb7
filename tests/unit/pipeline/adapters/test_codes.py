"""PIRender as it is trained here: the numbers of any head's fits, and the model that is driven by its own head's."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.baselines.pirender.network import PIRender, PIRenderConfig
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.method.files import read_config, save_model
from pipeline.adapters.pirender.adapter import PIRenderAdapter
from pipeline.adapters.pirender.codes import CROP, codes, num_codes
from pipeline.methods.runner import Files, MethodRunner
from tests.helpers import random_head
from tests.small_methods import CLIPS, CPU, SMALL, SmallWorld, make_small_world
from tests.toy_networks import fit_of

ANNA, BERTA = CLIPS
SAME, OTHER = torch.tensor([True]), torch.tensor([False])


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> SmallWorld:
    return make_small_world(tmp_path_factory.mktemp("methods"))


@pytest.fixture(scope="module")
def model(world) -> Path:
    """A small model that was trained with the world's head, whose fits are not those that the benchmark names."""
    torch.manual_seed(0)
    folder = world.folder / "models" / "trained"
    network = PIRender(PIRenderConfig(coefficients=num_codes(world.head), **SMALL["pirender"]))
    save_model(folder, "pirender", network, world.head, 2, {})
    return folder


@pytest.fixture
def runner(world, model) -> MethodRunner:
    return MethodRunner(files(world, model), CLIPS, CPU)


def files(world: SmallWorld, model: Path) -> Files:
    return Files(model, world.folder / "heads", world.folder / "fits", "another")


def windows(world: SmallWorld, runner: MethodRunner, source: tuple, driving: tuple, same: torch.Tensor) -> torch.Tensor:
    seen = (world.view(runner, frame) for frame in (source, driving))
    return runner.adapter.drive(*seen, same).signals["coefficients"]


def test_the_numbers_are_expression_pose_camera_and_the_trackers_place():
    head = HeadModel(random_head())
    turned = torch.tensor([[0.0, -2.0, 0.25, 0.5, 0.0, -0.75]])  # by a right angle, and scaled unequally
    fit = replace(fit_of(head, 1), tracker_map=turned)
    found = codes(fit)
    assert found.shape == (1, num_codes(head))
    torch.testing.assert_close(found[:, :-CROP], torch.cat([fit.expression, fit.pose, fit.camera], 1))
    torch.testing.assert_close(found[:, -CROP:], torch.tensor([[1.0, 0.25, -0.75]]))
    torch.testing.assert_close(codes(replace(fit, shape=fit.shape + 1)), found)


def test_of_the_basel_face_they_are_as_many_as_the_release_knows():
    sizes = {"shape": 80, "expression": 64, "pose": 3, "camera": 3, "tracker_map": 6}
    assert codes(HeadFit(**{name: torch.ones(2, size) for name, size in sizes.items()})).shape == (2, 73)


def test_a_trained_model_reads_the_fits_of_its_own_head(world, model, runner):
    assert read_config(model)["coefficients"] == num_codes(world.head)
    found = files(world, model)
    assert found.fits == world.folder / "fits" / world.head.name / "eval.parquet"
    assert found.head == world.folder / "heads" / f"{world.head.name}.npz"
    driven = runner.adapter.drive(world.view(runner, (ANNA, 0)), world.view(runner, (ANNA, 4)), SAME)
    assert {name: tuple(signal.shape) for name, signal in driven.signals.items()} == dict.fromkeys(
        ("coefficients", "source_coefficients"), (1, num_codes(world.head), 27)
    )
    own = windows(world, runner, (ANNA, 4), (ANNA, 0), SAME)
    torch.testing.assert_close(driven.signals["source_coefficients"], own)


def test_it_follows_its_driver_and_no_frame_of_it(world, runner):
    source = world.view(runner, (ANNA, 0))
    one, other = (runner.animate(source, world.view(runner, (ANNA, at)), SAME).image for at in (1, 5))
    assert one.isfinite().all()
    assert (one - other).abs().max() > 2e-5


def test_the_middle_of_a_window_is_the_driving_frame(world, runner):
    found = windows(world, runner, (ANNA, 0), (ANNA, 4), SAME)
    fit = world.view(runner, (ANNA, 4)).fit()
    torch.testing.assert_close(found[:, :, 13], codes(fit))


def test_another_identity_gets_the_sources_scale_and_keeps_the_rest(world, runner):
    own = windows(world, runner, (ANNA, 0), (BERTA, 4), SAME)
    assert torch.equal(windows(world, runner, (ANNA, 0), (BERTA, 4), OTHER), own)  # both trackers see whole frames
    nearer = world.view(runner, (ANNA, 0))

    class Nearer:
        def __getattr__(self, name: str):
            return getattr(nearer, name)

        def fit(self, before: int = 0, after: int = 0) -> HeadFit:
            fit = nearer.fit(before, after)
            return fit.replace(tracker_map=fit.tracker_map * torch.tensor([0.5, 1, 1, 1, 0.5, 1]))

    found = runner.adapter.drive(Nearer(), world.view(runner, (BERTA, 4)), OTHER).signals["coefficients"]
    changed = (found - own).abs().amax((0, 2)) > 0
    assert changed.nonzero().flatten().tolist() == [own.shape[1] - CROP]
    assert found[0, -CROP, 13].item() == pytest.approx(0.5)


def test_a_model_of_another_head_is_refused():
    network = PIRender(PIRenderConfig(coefficients=73, **SMALL["pirender"]))
    head = HeadModel(random_head())
    with pytest.raises(ValueError, match=rf"73 coefficients a frame, but head {head.name} has {num_codes(head)}"):
        PIRenderAdapter(network, head)
