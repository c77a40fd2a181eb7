"""How HeadGAN is taught: its terms by their definitions, and that each reaches its part."""

import pytest
import torch

from model.baselines.headgan.lesson import HeadGanLesson, HeadGanRates
from model.baselines.headgan.network import HeadGan, HeadGanConfig
from model.method.network import Batch
from model.training.adversarial import LossConfig
from model.training.discriminator import Discriminator, DiscriminatorConfig
from model.training.loop import Players, train_step
from model.training.perceptual import Perceptual
from tests.toy_networks import Trunk, train_config

SIDE = 32
WEIGHTS = {"perceptual": 1.0, "adversarial": 0.5, "feature_matching": 2.0, "pixel": 10.0, "warped": 0.7}


def lesson(**changes: float) -> HeadGanLesson:
    torch.manual_seed(0)
    network = HeadGan(HeadGanConfig(native_px=SIDE, bottom_px=8, channels=4, hidden=8))
    discriminator = Discriminator(DiscriminatorConfig(scales=2, layers=2, width=4, max_width=8))
    losses = LossConfig(perceptual_scales=2, **(WEIGHTS | changes))
    rates = HeadGanRates(generator=1e-3, discriminator=2e-3)
    return HeadGanLesson(network, discriminator, Perceptual(Trunk(), 2, 2), losses, rates)


def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    source, target, picture = torch.rand(3, 2, 3, SIDE, SIDE, generator=generator)
    driving = torch.rand(2, 9, SIDE, SIDE, generator=generator)
    return Batch(source, target, {"driving_nmfc": driving, "source_nmfc": picture})


def test_image_and_warped_source_are_measured_in_the_images_range(placed):
    taught, pairs = placed(lesson()), placed(batch())
    taught.network.eval()
    made = taught.network(pairs.source, pairs.signals)
    terms = taught.losses(pairs).terms
    assert terms["pixel"].item() == pytest.approx((made.image - pairs.target).abs().mean().item(), rel=1e-5)
    warped = made.panels["warped source"]
    assert 0 <= warped.min() <= warped.max() <= 1
    assert terms["pixel_warped"].item() == pytest.approx((warped - pairs.target).abs().mean().item(), rel=1e-5)


@pytest.mark.parametrize("term", WEIGHTS)
def test_each_weight_counts(term: str, placed):
    whole, without = (
        made.losses(placed(batch())).of["generator"].item()
        for made in (placed(lesson()), placed(lesson(**{term: 0.0})))
    )
    assert abs(whole - without) > 1e-3


def test_the_warped_source_teaches_the_flow_alone(placed):
    taught = placed(lesson(perceptual=0.0, adversarial=0.0, feature_matching=0.0))
    parts = taught.network.generator
    taught.losses(placed(batch())).of["generator"].backward()
    assert all(p.grad is not None for p in parts.rendering_network.parameters())
    flow = [p.grad.abs().sum() for p in parts.flow_network.parameters() if p.grad is not None]
    assert torch.stack(flow).sum() > 0


def test_players_learn_at_their_own_rates_and_one_step_moves_every_part(placed):
    taught = placed(lesson())
    rates = {name: [group.rate for group in groups] for name, groups in taught.players().items()}
    assert rates == {"generator": [1e-3], "discriminator": [2e-3]}
    players = Players.make(taught, train_config(), placed.device)
    moved = {**dict(taught.network.named_parameters()), **{f"d.{k}": v for k, v in taught.rivals.named_parameters()}}
    before = {k: v.clone() for k, v in moved.items()}
    train_step(players, placed(batch()), train_config(), placed.device)
    still = [k for k, v in moved.items() if torch.equal(v, before[k])]
    assert [k for k in still if not k.endswith("logits.bias")] == []  # inside the hinge its gradients cancel
