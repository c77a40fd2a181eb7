"""Losses by hand, and shared passes equal to separate ones."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from model.pwm.generator import PWMOutput
from model.training.adversarial import LossConfig, step_losses
from model.training.discriminator import Discriminator, DiscriminatorConfig
from model.training.losses import (
    PatchScores,
    discriminator_hinge,
    feature_matching,
    generator_hinge,
    judged,
    mean_apart,
)
from model.training.perceptual import Perceptual, vgg_taps, without_norms
from tests.toy_networks import Trunk

SIZE = (16, 24)


def scores(*logits: list[float]) -> list[PatchScores]:
    return [PatchScores([torch.tensor([v])], torch.tensor([v])) for v in logits]


def test_hinge_by_hand(placed):
    real, made = placed(scores([2.0, 0.5], [-1.5])), placed(scores([-3.0, 0.0], [0.5]))
    # scale 1: mean(0, 0.5) + mean(0, 1); scale 2: 2.5 + 1.5
    assert discriminator_hinge(real, made).item() == pytest.approx(0.25 + 0.5 + 2.5 + 1.5)
    assert generator_hinge(made, len(made[0].logits)).item() == pytest.approx(1.5 - 0.5)


def test_feature_matching_by_hand_moves_only_the_made_image(placed):
    real, made = (
        placed(torch.tensor([1.0, 2.0], requires_grad=True)),
        placed(torch.tensor([0.0, 5.0], requires_grad=True)),
    )
    loss = feature_matching([PatchScores([real], real)], [PatchScores([made], made)])
    assert loss.item() == pytest.approx(2.0)
    loss.backward()
    assert real.grad is None
    assert torch.equal(made.grad, placed(torch.tensor([-0.5, 0.5])))


def networks() -> tuple[Discriminator, Perceptual]:
    torch.manual_seed(0)
    return Discriminator(DiscriminatorConfig(scales=2, layers=2, width=4, max_width=6)), Perceptual(Trunk(), 2, 3)


def images() -> tuple[PWMOutput, torch.Tensor]:
    torch.manual_seed(1)
    made, warped, target = (torch.rand(2, 3, *SIZE, requires_grad=k < 2) for k in range(3))
    return PWMOutput(made, [], warped, made), target


def weights(**changes: float) -> LossConfig:
    values = {"perceptual": 2.0, "adversarial": 0.5, "feature_matching": 3.0, "pixel": 7.0, "warped": 0.25}
    return LossConfig(perceptual_scales=3, **(values | changes))


def test_perceptual_by_its_definition(placed):
    _, perceptual = placed(networks())
    out, target = placed(images())
    trunk, wanted = perceptual.backbone, 0.0
    for scale in range(3):
        a, b = (F.avg_pool2d(x, 2**scale) for x in (out.image, target))
        wanted += sum((x - y).abs().mean() for x, y in zip(trunk.features(a), trunk.features(b), strict=True))
    assert perceptual(out.image, perceptual.target(target)).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_perceptual_needs_enough_maps():
    perceptual = Perceptual(Trunk(), 3, 1)
    with pytest.raises(ValueError, match="has 2 feature maps, 3 blocks asked"):
        perceptual.target(torch.rand(1, 3, *SIZE))


def test_perceptual_backbone_stays_frozen():
    _, perceptual = networks()
    perceptual.train()
    assert not perceptual.backbone.training
    assert not any(p.requires_grad for p in perceptual.parameters())


def test_shared_passes_equal_separate_ones(placed):
    discriminator, perceptual = placed(networks())
    discriminator.eval()  # spectral norm estimates stand still
    out, target = placed(images())
    config = weights()
    found = step_losses(out.image, out.warped, target, discriminator, perceptual, config)
    assert perceptual.backbone.calls == 2 * 3  # target once, I_o and I_w together, at three scales

    def player_losses(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        real, made = discriminator(target), discriminator(image)
        generator = (
            config.perceptual * perceptual(image, perceptual.target(target))[0]
            + config.adversarial * generator_hinge(made, len(target))
            + config.feature_matching * feature_matching(real, made)
            + config.pixel * (image - target).abs().mean()
        )
        return generator, discriminator_hinge(real, made)

    image, warped = player_losses(out.image), player_losses(out.warped)
    wanted_generator = image[0] + config.warped * warped[0]
    assert found.of["generator"].item() == pytest.approx(wanted_generator.item(), rel=1e-5)
    assert found.of["discriminator"].item() == pytest.approx((image[1] + config.warped * warped[1]).item(), rel=1e-5)
    got = torch.autograd.grad(found.of["generator"], (out.image, out.warped))
    for mine, naive in zip(got, torch.autograd.grad(wanted_generator, (out.image, out.warped)), strict=True):
        assert torch.allclose(mine, naive, atol=placed.atol)


def test_terms_are_reported_unweighted_for_both_images(placed):
    discriminator, perceptual = placed(networks())
    out, target = placed(images())
    terms = step_losses(out.image, out.warped, target, discriminator, perceptual, weights()).terms
    assert terms["pixel"].item() == pytest.approx((out.image - target).abs().mean().item())
    assert terms["pixel_warped"].item() == pytest.approx((out.warped - target).abs().mean().item())
    assert len(terms) == 8


def test_discriminator_scales_see_halved_images(placed):
    discriminator, _ = placed(networks())
    image = placed(torch.rand(3, 3, *SIZE))
    judged = discriminator(image)
    assert [tuple(s.logits.shape) for s in judged] == [(3, 1, 4, 6), (3, 1, 2, 3)]
    assert [tuple(f.shape) for f in judged[0].features] == [(3, 4, 8, 12), (3, 6, 4, 6)]
    discriminator.eval()
    half = discriminator.scales[1](F.avg_pool2d(image, 2))
    assert torch.allclose(discriminator(image)[1].logits, half.logits)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_each_group_is_measured_by_itself_and_its_gradient_lies_as_it_does(placed, layout):
    torch.manual_seed(2)
    made, target = (placed(torch.randn(n, 3, 4, 5)).contiguous(memory_format=layout) for n in (6, 2))
    made.requires_grad_()
    found = mean_apart(made, target)
    wanted = [(group - target).abs().mean() for group in made.detach().split(2)]
    torch.testing.assert_close(found, torch.stack(wanted))
    (found * torch.tensor([1.0, 2.0, 3.0]).to(found)).sum().backward()
    expected = torch.cat(
        [k * (group - target).sign() / target.numel() for k, group in enumerate(made.detach().split(2), 1)]
    )
    torch.testing.assert_close(made.grad, expected)
    assert made.grad.is_contiguous(memory_format=layout)


def test_two_passes_of_a_discriminator_make_one_power_iteration(placed):
    discriminator, _ = placed(networks())
    twin = copy.deepcopy(discriminator)
    _, target = placed(images())
    made = placed(torch.rand(4, 3, *SIZE))
    apart, together = judged(discriminator, target, made), twin(torch.cat([target, made]))
    for real, shown, both in zip(*apart, together, strict=True):
        torch.testing.assert_close(torch.cat([real.logits, shown.logits]), both.logits)
    for mine, its in zip(discriminator.buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(mine, its)


def test_vgg_taps_are_the_rectified_convolutions_of_each_block():
    torchvision = pytest.importorskip("torchvision")
    layers = torchvision.models.vgg19(weights=None).features
    assert vgg_taps(layers, "first") == [1, 6, 11, 20, 29]
    assert vgg_taps(layers, "last") == [3, 8, 17, 26, 35]


def test_norms_of_a_frozen_network_are_folded_into_its_convolutions(placed):
    torch.manual_seed(4)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)),  # this norm has no convolution before it
    )
    network(torch.randn(8, 3, *SIZE))
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    network, images = placed(network).eval(), placed(torch.rand(2, 3, *SIZE)).requires_grad_()
    wanted = network(images)
    (slope,) = torch.autograd.grad(wanted.square().sum(), images)
    folded = without_norms(network)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in folded.modules()) == 1
    found = folded(images)
    placed.assert_close(found, wanted, times=10)
    placed.assert_close(torch.autograd.grad(found.square().sum(), images)[0], slope, times=100)
