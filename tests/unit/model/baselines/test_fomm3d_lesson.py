"""How 3D-FOMM is taught: its terms by their definitions, which parts each reaches, that a run resumes bit for bit."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.losses import RATE_SHARE, agree
from model.baselines.fomm3d.lesson import DRIVING_ANGLES, SOURCE_ANGLES, Fomm3dLesson
from model.baselines.fomm3d.lesson_config import Fomm3dLosses, Fomm3dRates
from model.baselines.fomm3d.network import Fomm3d, Fomm3dConfig
from model.baselines.fomm3d.pose import NUM_BINS, Pose, angles_deg, place, rotation, to_degrees
from model.baselines.fomm3d.priors import deformation_prior, head_pose_error, keypoint_prior
from model.baselines.fomm3d.start import start_near_source
from model.baselines.shared.equivariance import Distortion, DistortionConfig
from model.method.network import Batch
from model.training.discriminator import Discriminator, DiscriminatorConfig
from model.training.loop import Players, train, train_step
from model.training.perceptual import Perceptual
from model.training.resume import CheckpointStore
from tests.devices import Place
from tests.helpers import ROOT
from tests.toy_networks import CPU, Trunk, train_config

# {"losses": [...]} of `trajectory()`; json.dump writes it anew, and CHANGELOG.md says why.
GOLDEN = ROOT / "tests" / "data" / "golden_fomm3d.json"
SIDE, KEYPOINTS = 32, 3
SMALL = Fomm3dConfig(
    decoder="original", kp_scale=0.5, image_px=SIDE, num_kp=KEYPOINTS, depth=2, kp_width=4, kp_largest=8, kp_levels=2,
    pose_width=4, motion_width=4, motion_largest=8, motion_levels=1, compress=1, width=8, largest=16, num_down=1,
    num_residual=1,
)  # fmt: skip
WEIGHTS = {
    "perceptual": 1.0, "adversarial": 0.5, "feature_matching": 2.0, "pixel": 10.0, "equivariance": 5.0,
    "keypoints": 3.0, "head_pose": 0.2, "deformation": 1.0,
}  # fmt: skip
NOTHING = dict.fromkeys(WEIGHTS, 0.0)
DISTORTION = DistortionConfig(sigma_affine=0.05, sigma_tps=0.005, points_tps=5)
EVERYWHERE = {"detector", "angles", "offsets", "motion", "occlusion", "painter"}
RANDOM = np.random.default_rng(0)


def lesson(share: float = 1.0, config: Fomm3dConfig = SMALL, **changes: float) -> Fomm3dLesson:
    """With other weights of losses; `share` is a factor on the rates."""
    torch.manual_seed(0)
    network = Fomm3d(config)
    discriminator = Discriminator(DiscriminatorConfig(scales=2, layers=2, width=4, max_width=8))
    rates = Fomm3dRates(
        generator=1e-3 * share, keypoints=2e-3 * share, last=5e-4 * share, discriminator=3e-3 * share
    )  # fmt: skip
    losses = Fomm3dLosses(**(WEIGHTS | changes))
    return Fomm3dLesson(network, discriminator, Perceptual(Trunk(), 2, 2), losses, rates, DISTORTION)


def batch(step: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(step)
    source, driving = torch.rand(2, 2, 3, SIDE, SIDE, generator=generator)
    angles = 20 * torch.randn(2, 2, 3, generator=generator)
    return Batch(source, driving, {"driving": driving, SOURCE_ANGLES: angles[0], DRIVING_ANGLES: angles[1]})


def trajectory(**changes: float) -> list[dict[str, float]]:
    """Losses of four steps, in float64: over maps of few values norms let float32's last digits grow a millionfold."""
    wide = Place("cpu", torch.float64)
    taught = wide(lesson(RATE_SHARE, **changes))
    players = Players.make(taught, train_config(), CPU)
    taught.network.train()
    return [train_step(players, wide(batch(step)), train_config(), CPU) for step in range(4)]


def parts(network: Fomm3d) -> dict[str, nn.Module]:
    estimator, generator = network.he_estimator, network.generator
    return {
        "detector": network.kp_detector,
        "angles": estimator.fc_pitch,
        "offsets": estimator.fc_exp,
        "motion": generator.dense_motion_network.mask,
        "occlusion": generator.dense_motion_network.occlusion,
        "painter": generator.final,
    }


def random_pose(dtype: torch.dtype = torch.float64) -> Pose:
    shapes = (NUM_BINS, NUM_BINS, NUM_BINS, 3, 3 * KEYPOINTS)
    return Pose(*(torch.from_numpy(RANDOM.standard_normal((2, n))).to(dtype) for n in shapes))


def test_the_keypoint_prior_is_the_published_sum():
    points = RANDOM.uniform(-0.4, 0.4, (4, 7, 3))
    crowded, count = 0.0, 0
    for image in points:
        for one in image:
            for other in image:
                gap = 0.1 - ((one - other) ** 2).sum()
                crowded += max(gap, 0.0) / len(points)
                count += gap > 0
    depth = np.mean([abs(image[:, 2].mean() - 0.33) for image in points])
    assert 4 * 7 < count < 4 * 7 * 7  # some pairs are near, some are not
    assert keypoint_prior(torch.from_numpy(points)).item() == pytest.approx(crowded + depth, rel=1e-12)


def test_pose_terms_are_the_published_ones():
    pose, wanted = random_pose(), RANDOM.uniform(-40, 40, (2, 3))
    found = 0.0
    for column, logits in enumerate((pose.yaw, pose.pitch, pose.roll)):
        share = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
        degrees = [sum(p * bin_number for bin_number, p in enumerate(row)) * 3 - 99 for row in share]
        found += np.mean([abs(a - b) for a, b in zip(degrees, wanted[:, column], strict=True)])
    assert head_pose_error(pose, torch.from_numpy(wanted)).item() == pytest.approx(found, rel=1e-12)
    offsets = np.mean([sum(abs(x) for x in row) for row in pose.exp.numpy()])
    assert deformation_prior(pose).item() == pytest.approx(offsets, rel=1e-12)


def test_angles_are_those_that_a_rotation_is_made_of():
    yaw, pitch, roll = torch.from_numpy(RANDOM.uniform(-60, 60, (3, 5)))
    found = angles_deg(rotation(yaw, pitch, roll))
    torch.testing.assert_close(found, torch.stack([yaw, pitch, roll], 1), rtol=1e-3, atol=1e-3)  # 3.14 is not pi


def test_terms_are_measured_on_what_the_network_made(placed):
    taught, pairs = placed(lesson()), placed(batch())
    taught.network.eval()
    torch.manual_seed(5)
    distortion = Distortion.draw(DISTORTION, pairs.target)
    torch.manual_seed(5)
    terms = taught.losses(pairs).terms
    made = taught.network(pairs.source, pairs.signals)
    inside = made.own
    placed.assert_close(terms["pixel"], (made.image - pairs.target).abs().mean())
    poses = (inside.source_pose, SOURCE_ANGLES), (inside.driving_pose, DRIVING_ANGLES)
    errors = [
        (to_degrees(getattr(pose, name)) - pairs.signals[angles][:, column]).abs().mean()
        for pose, angles in poses
        for column, name in enumerate(("yaw", "pitch", "roll"))
    ]
    placed.assert_close(terms["head_pose"], torch.stack(errors).sum() / 2, times=100)
    again = place(inside.canonical, taught.network.he_estimator(distortion.image(pairs.target, False))).value[..., :2]
    gap = inside.driving.value[..., :2] - distortion.positions(again)
    placed.assert_close(terms["equivariance"], gap.abs().mean())
    assert set(terms) == set(WEIGHTS)


@pytest.mark.parametrize("term", WEIGHTS)
def test_each_weight_counts(term: str, placed):
    torch.manual_seed(5)
    whole = placed(lesson()).losses(placed(batch())).of["generator"].item()
    torch.manual_seed(5)
    without = placed(lesson(**{term: 0.0})).losses(placed(batch())).of["generator"].item()
    assert abs(whole - without) > 1e-3


@pytest.mark.parametrize(("term", "reached"), [
    ("pixel", EVERYWHERE),
    ("perceptual", EVERYWHERE),
    ("adversarial", EVERYWHERE),
    ("feature_matching", EVERYWHERE),
    ("equivariance", {"detector", "angles", "offsets"}),
    ("keypoints", {"detector", "angles", "offsets"}),
    ("head_pose", {"angles"}),
    ("deformation", {"offsets"}),
])  # fmt: skip
def test_each_term_teaches_its_parts_alone(term: str, reached: set[str], placed):
    taught = placed(lesson(**(NOTHING | {term: 1.0})))
    taught.losses(placed(batch())).of["generator"].backward()
    found = {
        name for name, part in parts(taught.network).items()
        if any(p.grad is not None and bool(p.grad.any()) for p in part.parameters())
    }  # fmt: skip
    assert found == reached
    assert all(p.grad is None for p in taught.fixed.parameters())


def test_losses_are_the_golden_ones_and_without_any_term_they_are_not():
    golden = json.loads(GOLDEN.read_text())["losses"]
    assert agree(trajectory(), golden)
    assert not any(agree(trajectory(**{term: 0.0}), golden) for term in WEIGHTS)


def test_one_step_moves_every_part_at_its_rate(placed):
    taught = placed(lesson())
    players = taught.players()
    assert {name: [group.rate for group in groups] for name, groups in players.items()} == {
        "generator": [1e-3, 2e-3, 5e-4], "discriminator": [3e-3],
    }  # fmt: skip
    last = {id(p) for p in players["generator"][2].parameters}
    named = dict(taught.network.named_parameters())
    assert {name.rpartition(".")[0] for name, p in named.items() if id(p) in last} == {
        "generator.final", "generator.dense_motion_network.mask", "generator.dense_motion_network.occlusion",
        "kp_detector.kp", *(f"he_estimator.fc_{name}" for name in ("roll", "pitch", "yaw", "t", "exp")),
    }  # fmt: skip
    learned = [id(p) for group in players["generator"] for p in group.parameters]
    assert sorted(learned) == sorted(id(p) for p in named.values())
    made = Players.make(taught, train_config(), placed.device)
    before = {k: v.clone() for k, v in named.items()}
    taught.network.train()
    train_step(made, placed(batch()), train_config(), placed.device)
    still = {k for k, v in taught.network.named_parameters() if torch.equal(v, before[k])}
    assert still <= set(before_a_norm(taught.network))  # where a norm takes the bias away again


def before_a_norm(network: nn.Module) -> Iterator[str]:
    """Names of biases whose gradients are rounding noise: a norm, or the softmax over positions, follows them."""
    for name, _ in network.named_parameters():
        if name.endswith("bias") and (".conv" in name or name == "kp_detector.kp.bias" or ".compress." in name):
            yield name


def test_a_resumed_run_draws_the_same_distortions_and_ends_bit_for_bit_the_same(tmp_path: Path):
    def run(folder: str, stop_after: int | None) -> Fomm3dLesson:
        torch.manual_seed(1)
        taught = lesson()

        def on_step(step: int, losses: dict[str, float]) -> None:
            if step == stop_after:
                raise KeyboardInterrupt

        store = CheckpointStore(tmp_path / folder)
        config = train_config(iterations=5, checkpoint_every=2, channels_last=True)
        try:
            train(taught, batch, config, CPU, store, on_step)
        except KeyboardInterrupt:
            torch.manual_seed(99)  # the stream is the stored one, whatever the process drew since
        return taught

    whole = run("whole", None)
    run("parts", 3)
    resumed = run("parts", None)
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name


@pytest.mark.parametrize("decoder", ["original", "spade"])
def test_under_bfloat16_losses_are_finite_and_positions_wide(decoder: str, on_device):
    config = replace(SMALL, decoder=decoder, num_down=2, spade_hidden=4)
    taught, pairs = on_device(lesson(config=config)), on_device(batch())
    taught.network.train()
    with torch.autocast(on_device.name, torch.bfloat16):
        found = taught.losses(pairs)
        inside = taught.network(pairs.source, pairs.signals).own
    assert all(torch.isfinite(value) and value.dtype == torch.float32 for value in found.terms.values())
    positions = (inside.canonical.value, inside.source.value, inside.driving.value, inside.deformation)
    assert {tensor.dtype for tensor in positions} == {torch.float32}
    found.of["generator"].backward()
    assert all(p.grad.isfinite().all() for p in taught.network.parameters() if p.grad is not None)


def test_near_its_source_the_image_follows_the_sources_colours_and_the_poses_the_face():
    torch.manual_seed(0)
    network = Fomm3d(SMALL)
    start_near_source(network)
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(8, 3, 4, 4, generator=generator)
    source = nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic").clamp(0, 1)
    with torch.no_grad():
        made = network.train()(source, {"driving": source})
    for channel in range(3):
        seen = torch.stack([source[:, channel, 8:-8, 8:-8].flatten(), made.image[:, channel, 8:-8, 8:-8].flatten()])
        assert torch.corrcoef(seen)[0, 1] > 0.8
    pose = made.own.driving_pose
    assert not pose.t.any()
    assert not pose.exp.any()
    assert to_degrees(pose.yaw).std() > 0.1


@pytest.mark.parametrize("changes", [{"decoder": "spade"}, {"largest": 8}])
def test_who_cannot_start_near_the_source_is_told_so(changes: dict[str, object]):
    config = replace(SMALL, **changes)
    with pytest.raises(ValueError, match="near its source"):
        start_near_source(Fomm3d(config))


def test_volumes_are_laid_out_like_images_and_their_norms_are_shared_by_a_team():
    taught = lesson()
    players = Players.make(taught, train_config(channels_last=True), CPU)
    mask, final = taught.network.generator.dense_motion_network.mask.weight, taught.network.generator.final.weight
    assert mask.is_contiguous(memory_format=torch.channels_last_3d)
    assert final.is_contiguous(memory_format=torch.channels_last)
    kept = {id(statistic) for statistic in players.statistics()}
    running = {name: b for name, b in taught.network.named_buffers() if name.rpartition(".")[2].startswith("running_")}
    assert any(name.startswith("generator.resblocks_3d") for name in running)
    assert {id(statistic) for statistic in running.values()} == kept
