"""How FOMM is taught: terms by their definitions, which parts each reaches, and that a run resumes bit for bit."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.losses import RATE_SHARE, agree
from model.baselines.fomm.lesson import FommLesson, FommLosses, FommRates
from model.baselines.fomm.network import Fomm, FommConfig
from model.baselines.shared.equivariance import Distortion, DistortionConfig
from model.baselines.shared.keypoints import expected_position, sparse_motions
from model.method.network import Batch
from model.training.loop import Players, train, train_step
from model.training.perceptual import Perceptual
from model.training.resume import CheckpointStore
from tests.helpers import ROOT
from tests.toy_networks import CPU, Trunk, train_config

# {"losses": [...]} of `trajectory()`; json.dump writes it anew, and CHANGELOG.md says why.
GOLDEN = ROOT / "tests" / "data" / "golden_fomm.json"
SIDE = 32
SMALL = FommConfig(image_px=SIDE, num_kp=3, scale=0.5, kp_width=4, kp_largest=16, kp_levels=2, motion_width=4,
                   motion_largest=16, motion_levels=2, width=8, largest=16, num_down=1, num_residual=1)  # fmt: skip
WEIGHTS = {"perceptual": 1.0, "pixel": 10.0, "warped": 0.7, "equivariance_value": 5.0, "equivariance_jacobian": 3.0}
DISTORTION = DistortionConfig(sigma_affine=0.05, sigma_tps=0.005, points_tps=5)
NOTHING = dict.fromkeys(WEIGHTS, 0.0)


def lesson(share: float = 1.0, **changes: float) -> FommLesson:
    """With other weights of losses; `share` is a factor on the rates."""
    torch.manual_seed(0)
    rates = FommRates(generator=1e-3 * share, keypoints=2e-3 * share, last=5e-4 * share)
    losses = FommLosses(**(WEIGHTS | changes))
    return FommLesson(Fomm(SMALL), Perceptual(Trunk(), 2, 2), losses, DISTORTION, rates)


def batch(step: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(step)
    source, driving = torch.rand(2, 2, 3, SIDE, SIDE, generator=generator)
    return Batch(source, driving, {"driving": driving})


def trajectory(**changes: float) -> list[dict[str, float]]:
    """Losses of four steps, at rates at which the processor's last digits stay the last."""
    taught = lesson(RATE_SHARE, **changes)
    players = Players.make(taught, train_config(), CPU)
    taught.network.train()
    return [train_step(players, batch(step), train_config(), CPU) for step in range(4)]


def touched(taught: FommLesson, pairs: Batch) -> set[str]:
    """Parts of the network that the loss has a gradient to."""
    taught.network.zero_grad()
    taught.losses(pairs).of["generator"].backward()
    parts = {
        "detector": taught.network.kp_detector.predictor,
        "positions": taught.network.kp_detector.kp.weight,
        "maps": taught.network.kp_detector.jacobian,
        "motion": taught.network.generator.dense_motion_network.mask,
        "occlusion": taught.network.generator.dense_motion_network.occlusion,
        "painter": taught.network.generator.final,
    }
    grads = {name: [part.grad] if isinstance(part, Tensor) else [p.grad for p in part.parameters()]
             for name, part in parts.items()}  # fmt: skip
    return {name for name, found in grads.items() if any(grad is not None and bool(grad.any()) for grad in found)}


def test_terms_are_measured_where_they_are_defined(placed):
    taught, pairs = placed(lesson()), placed(batch())
    taught.network.eval()
    torch.manual_seed(5)
    distortion = Distortion.draw(DISTORTION, pairs.target)
    torch.manual_seed(5)
    terms = taught.losses(pairs).terms
    made = taught.network(pairs.source, pairs.signals)
    gap = {"pixel": made.image, "pixel_warped": made.own.deformed}
    for name, img in gap.items():
        placed.assert_close(terms[name], (img - pairs.target).abs().mean())
    there = taught.network.kp_detector(pairs.target)
    again = taught.network.kp_detector(distortion.image(pairs.target, True))
    placed.assert_close(terms["equivariance_value"], (there.value - distortion.positions(again.value)).abs().mean())
    both = torch.linalg.solve(there.jacobian, distortion.jacobian(again.value) @ again.jacobian)
    one = torch.eye(2).to(both)
    placed.assert_close(terms["equivariance_jacobian"], (both - one).abs().mean(), times=100)
    assert set(terms) == {"perceptual", "perceptual_warped", *gap, "equivariance_value", "equivariance_jacobian"}


@pytest.mark.parametrize("term", WEIGHTS)
def test_each_weight_counts(term: str, placed):
    torch.manual_seed(5)
    whole = placed(lesson()).losses(placed(batch())).of["generator"].item()
    without = placed(lesson(**{term: 0.0})).losses(placed(batch())).of["generator"].item()
    assert abs(whole - without) > 1e-3


@pytest.mark.parametrize(("alone", "reached"), [
    ({"pixel": 1.0}, {"detector", "positions", "maps", "motion", "occlusion", "painter"}),
    ({"perceptual": 1.0}, {"detector", "positions", "maps", "motion", "occlusion", "painter"}),
    ({"equivariance_value": 1.0}, {"detector", "positions"}),
    ({"equivariance_jacobian": 1.0}, {"detector", "positions", "maps"}),
])  # fmt: skip
def test_each_term_teaches_its_parts_alone(alone: dict[str, float], reached: set[str], placed):
    assert touched(placed(lesson(**(NOTHING | alone))), placed(batch())) == reached


def test_losses_are_the_golden_ones_and_without_any_term_they_are_not():
    golden = json.loads(GOLDEN.read_text())["losses"]
    assert agree(trajectory(), golden)
    assert not any(agree(trajectory(**{term: 0.0}), golden) for term in WEIGHTS)


def test_the_warped_source_teaches_the_motion_and_not_the_painter(placed):
    taught, pairs = placed(lesson(**(NOTHING | {"pixel": 1.0, "warped": 1.0}))), placed(batch())
    made = taught.network(pairs.source, pairs.signals)
    (made.own.deformed - pairs.target).abs().mean().backward()
    assert taught.network.generator.final.weight.grad is None
    assert taught.network.generator.dense_motion_network.mask.weight.grad.any()
    assert "pixel_warped" not in placed(lesson(warped=0.0)).losses(pairs).terms


def test_one_step_moves_every_part_at_its_rate_and_measures_stay_as_they_are(placed):
    taught = placed(lesson())
    (player,) = taught.players().values()
    assert [group.rate for group in player] == [1e-3, 2e-3, 5e-4]
    learned = {id(p) for group in player for p in group.parameters}
    assert learned == {id(p) for p in taught.network.parameters()}
    players = Players.make(taught, train_config(), placed.device)
    before = {k: v.clone() for k, v in taught.network.named_parameters()}
    fixed = {k: v.clone() for k, v in taught.fixed.state_dict().items()}
    train_step(players, placed(batch()), train_config(), placed.device)
    still = [k for k, v in taught.network.named_parameters() if torch.equal(v, before[k])]
    assert [k for k in still if k != "kp_detector.kp.bias"] == []  # a softmax over pixels takes it away again
    assert all(torch.equal(v, fixed[k]) for k, v in taught.fixed.state_dict().items())


def test_a_resumed_run_draws_the_same_distortions_and_ends_bit_for_bit_the_same(tmp_path: Path):
    def run(folder: str, stop_after: int | None) -> FommLesson:
        torch.manual_seed(1)
        taught = lesson()

        def on_step(step: int, losses: dict[str, float]) -> None:
            if step == stop_after:
                raise KeyboardInterrupt

        store = CheckpointStore(tmp_path / folder)
        try:
            train(taught, batch, train_config(iterations=5, checkpoint_every=2), CPU, store, on_step)
        except KeyboardInterrupt:
            torch.manual_seed(99)  # the stream is the stored one, whatever the process drew since
        return taught

    whole = run("whole", None)
    run("parts", 3)
    resumed = run("parts", None)
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name


def test_under_bfloat16_losses_are_finite_and_positions_wide(on_device):
    taught, pairs = on_device(lesson()), on_device(batch())
    taught.network.train()
    with torch.autocast(on_device.name, torch.bfloat16):
        found = taught.losses(pairs)
        inside = taught.network(pairs.source, pairs.signals).own
    assert all(torch.isfinite(value) and value.dtype == torch.float32 for value in found.terms.values())
    positions = (inside.source.value, inside.source.jacobian, inside.driving.value, inside.deformation)
    assert {tensor.dtype for tensor in positions} == {torch.float32}
    found.of["generator"].backward()
    assert all(p.grad.isfinite().all() for p in taught.network.parameters() if p.grad is not None)


def test_autocast_narrows_neither_mean_positions_nor_motions():
    heat = torch.rand(1, 2, 9, 9).flatten(2).softmax(-1).view(1, 2, 9, 9)
    found = lesson().network.kp_detector.eval()(batch().source)
    wanted = expected_position(heat), sparse_motions(found, found, (5, 7))
    with torch.autocast("cpu", torch.bfloat16):
        narrow = expected_position(heat), sparse_motions(found, found, (5, 7))
    assert all(torch.equal(a, b) for a, b in zip(narrow, wanted, strict=True))
