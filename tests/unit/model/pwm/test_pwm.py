"""The generator: levels, warps, branches, gradients. Images are never square here."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from model.frame.coords import resize_disp
from model.frame.warp import warp
from model.heads.head import HeadModel
from model.pwm.animator import Animator, AnimatorConfig
from model.pwm.blocks import DisplacementHead
from model.pwm.config import GuidanceConfig
from model.pwm.generator import FirstLevel, Generator, WarpModule
from model.training.discriminator import Discriminator, DiscriminatorConfig
from tests.helpers import random_head
from tests.toy_networks import EVERY, MIDDLE, SIZE, animate, fit_of, generator_config, maps


def disp_generator(gain: float = 0.1) -> Generator:
    return Generator(generator_config(gain), ("disp",), 0, 2, MIDDLE)


def animator(name: str, gain: float = 0.1) -> Animator:
    torch.manual_seed(0)
    guidance = GuidanceConfig(name=name, render_px=16, code_dim=3, code_std=1.0, code_frequency=1.5)
    return Animator(HeadModel(random_head()), AnimatorConfig(guidance=guidance, generator=generator_config(gain)))


@pytest.mark.parametrize("name", EVERY)
def test_every_level_has_its_own_resolution(name, placed):
    model = placed(animator(name))
    out = animate(
        model, placed(torch.rand(2, 3, *SIZE)), placed(fit_of(model.head, seed=1)), placed(fit_of(model.head))
    )
    assert out.image.shape == out.warped.shape == (2, 3, *SIZE)
    assert [tuple(d.shape) for d in out.disps] == [(2, 2, 4, 6), (2, 2, 8, 12), (2, 2, 16, 24)]
    assert 0 <= out.image.min() < out.image.max() <= 1
    assert out.guide.shape[1] == model.guidance.driving_channels


def test_size_that_does_not_halve_often_enough_is_refused():
    generator = disp_generator()
    with pytest.raises(ValueError, match="multiples of 4"):
        generator(torch.rand(1, 3, 18, 24), maps(count=1))


def test_every_convolution_is_spectrally_normalised():
    networks = [animator(name) for name in EVERY]
    networks.append(Discriminator(DiscriminatorConfig(scales=2, layers=2, width=4, max_width=8)))
    for network in networks:
        convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
        assert len(convolutions) > 5
        assert all(is_parametrized(m, "weight") for m in convolutions)
        for m in convolutions:
            for _ in range(50):
                weight = m.weight  # each access in training mode is one power iteration
            assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1.0, abs=0.02)


def test_zero_displacement_is_the_identity(placed):
    generator = placed(disp_generator(gain=0.0))
    source = placed(torch.rand(2, 3, *SIZE))
    out = generator(source, placed(maps()))
    assert all((d == 0).all() for d in out.disps)
    assert torch.allclose(out.warped, source, atol=1e-5)


def test_last_displacement_warps_the_source(placed):
    generator = placed(disp_generator())
    source = placed(torch.rand(2, 3, *SIZE))
    generator.last.disp = placed(ConstantDisp(2.0 / SIZE[1], 0.0))
    out = generator(source, placed(maps()))
    assert torch.allclose(out.warped[..., :-1], source[..., 1:], atol=1e-5)  # shows the right neighbour


def test_without_one_of_its_own_the_last_level_takes_over_the_displacement_before(placed):
    generator = placed(Generator(generator_config(last_disp="upsampled"), ("disp",), 0, 2, MIDDLE))
    source = placed(torch.rand(2, 3, *SIZE))
    out = generator(source, placed(maps()))
    assert len(out.disps) == 3
    assert out.disps[1].abs().max() > 1e-3
    assert torch.equal(out.disps[2], resize_disp(out.disps[1], SIZE))
    assert torch.allclose(out.warped, warp(source, out.disps[2]))
    assert not [name for name, _ in generator.last.named_parameters() if name.startswith("disp")]


@pytest.mark.parametrize("last_disp", ["own", "upsampled"])
def test_displacements_that_refine_add_to_the_coarser_one(last_disp, placed):
    generator = placed(Generator(generator_config(last_disp=last_disp, disp_refines=True), ("disp",), 0, 2, MIDDLE))
    heads = [m for m in generator.modules() if isinstance(m, DisplacementHead)]
    added: list[torch.Tensor] = []
    for head in heads:
        head.conv.register_forward_hook(lambda _m, _a, out, head=head: added.append(head.gain * out))
    out = generator(placed(torch.rand(2, 3, *SIZE)), placed(maps()))
    assert len(added) == len(heads) == (3 if last_disp == "own" else 2)
    wanted = added[0]
    assert torch.equal(out.disps[0], wanted)
    for found, step in zip(out.disps[1:], added[1:], strict=False):
        wanted = resize_disp(wanted, step.shape[-2:]) + step
        assert torch.allclose(found, wanted, atol=placed.atol)
    assert torch.allclose(out.disps[-1], resize_disp(wanted, SIZE), atol=placed.atol)


def test_a_last_displacement_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="own or upsampled"):
        generator_config(last_disp="none")


class ConstantDisp(nn.Module):
    def __init__(self, x: float, y: float) -> None:
        super().__init__()
        self.value = torch.tensor([x, y])[:, None, None]

    def forward(self, features, _coarser):
        return self.value.expand(len(features), 2, *features.shape[-2:])


def inputs_of(module: nn.Module) -> list[torch.Tensor]:
    seen: list[torch.Tensor] = []
    module.register_forward_pre_hook(lambda _m, args: seen.append(args[0]))
    return seen


def test_a_module_warps_the_next_skip_by_its_displacement_and_keeps_the_spade_route(placed):
    module = placed(WarpModule(generator_config(), 1, 2).eval())
    module.disp = placed(ConstantDisp(0.0, 2.0 / 8))
    merged, routed = inputs_of(module.merge), []
    module.route.register_forward_hook(lambda _m, _a, out: routed.append(out))
    skip = placed(torch.rand(2, 8, 8, 12))
    feat, disp = module(placed(torch.rand(2, 8, 4, 6)), placed(torch.rand(2, 2, 4, 6)), skip, None)
    assert feat.shape == skip.shape
    assert disp.shape == (2, 2, 4, 6)
    warped, route = merged[0].chunk(2, 1)
    assert torch.allclose(warped[:, :, :-1], skip[:, :, 1:], atol=1e-5)  # y: shows the neighbour below
    assert torch.allclose(route[:, :, ::2, ::2], routed[0])
    assert torch.allclose(route[:, :, 1::2, 1::2], routed[0])


def test_upsampled_displacement_keeps_its_values(placed):
    module = placed(WarpModule(generator_config(), 1, 2).eval())
    merged = inputs_of(module.merge)
    skip = placed(torch.rand(2, 8, 8, 12))
    _, disp = module(placed(torch.rand(2, 8, 4, 6)), placed(torch.rand(2, 2, 4, 6)), skip, None)
    assert torch.allclose(merged[0][:, :8], warp(skip, resize_disp(disp, (8, 12))))


def test_first_level_warps_by_the_rendered_displacement_beside_the_original(placed):
    level = placed(FirstLevel(8, warps=True))
    merged = inputs_of(level.merge)
    feat = placed(torch.rand(2, 8, 4, 6))
    guide = torch.cat(
        [placed(torch.full((2, 1, 4, 6), 2.0 / 6)), placed(torch.zeros(2, 1, 4, 6)), placed(torch.rand(2, 3, 4, 6))], 1
    )
    assert level(feat, guide).shape == feat.shape
    assert torch.allclose(merged[0][:, :8, :, :-1], feat[..., 1:], atol=1e-5)
    assert torch.equal(merged[0][:, 8:], feat)


def test_first_level_of_codes_does_not_warp(placed):
    level = placed(FirstLevel(8, warps=False))
    merged = inputs_of(level.merge)
    feat = placed(torch.rand(2, 8, 4, 6))
    level(feat, placed(torch.rand(2, 5, 4, 6)))
    assert torch.equal(merged[0], feat)


@pytest.mark.parametrize("name", EVERY)
def test_first_level_branch_follows_the_guidance(name):
    assert animator(name).generator.first.warps == ("geom_disp" in name)


def test_guidance_reaches_every_level_as_an_area_mean(placed):
    generator = placed(disp_generator())
    seen = [inputs_of_second(m.spade) for m in [*generator.modules_coarse_to_fine, generator.last]]
    guide = placed(maps())
    generator(placed(torch.rand(2, 3, *SIZE)), guide)
    blocks = guide.driving.reshape(2, 2, 4, 4, 6, 4).mean((3, 5))
    assert torch.allclose(seen[0][0], 2.0 * blocks, atol=placed.atol)  # disp_scale
    assert torch.equal(seen[-1][0], 2.0 * guide.driving)


def test_rendered_displacement_warps_unscaled(placed):
    generator = placed(disp_generator())
    seen = inputs_of_second(generator.first)
    guide = placed(maps())
    out = generator(placed(torch.rand(2, 3, *SIZE)), guide)
    assert torch.allclose(seen[0], guide.driving.reshape(2, 2, 4, 4, 6, 4).mean((3, 5)), atol=placed.atol)
    assert torch.equal(out.guide, guide.driving)


def test_codes_are_never_scaled(placed):
    generator = placed(Generator(generator_config(), ("codes",), 3, 3, MIDDLE))
    seen = inputs_of_second(generator.last.spade)
    guide = placed(maps(channels=3, source_channels=3))
    generator(placed(torch.rand(2, 3, *SIZE)), guide)
    assert torch.equal(seen[0], guide.driving)


def inputs_of_second(module: nn.Module) -> list[torch.Tensor]:
    seen: list[torch.Tensor] = []
    module.register_forward_pre_hook(lambda _m, args: seen.append(args[1]))
    return seen


def test_source_codes_join_the_encoder(placed):
    model = placed(animator("neural_codes"))
    seen = inputs_of(model.generator.encoder)
    source = placed(torch.rand(2, 3, *SIZE))
    fit_src, fit_drv = placed(fit_of(model.head, seed=1)), placed(fit_of(model.head))
    animate(model, source, fit_src, fit_drv)
    rendered = model.guidance(model.head, fit_drv, fit_src, SIZE).driving
    assert torch.equal(seen[0], torch.cat([source, rendered], 1))


def test_displacements_are_float32_under_autocast(on_device):
    head = on_device(DisplacementHead(4, 0.1, refines=False))
    with torch.autocast(on_device.name, torch.bfloat16):
        assert head(on_device(torch.rand(1, 4, 6, 8, dtype=torch.bfloat16)), None).dtype == torch.float32


def test_gradients_match_finite_differences(on_device):
    model = on_device(animator("geom_disp+neural_codes").double()).eval()
    source = on_device(torch.rand(1, 3, *SIZE, dtype=torch.float64))
    fits = [on_device(fit_of(model.head, count=1, seed=s)).to(torch.float64) for s in (1, 0)]
    mix = on_device(torch.randn(1, 6, *SIZE, dtype=torch.float64))

    def measure() -> torch.Tensor:
        out = animate(model, source, *fits)
        return (torch.cat([out.image, out.warped], 1) * mix).sum()

    for name in ("guidance.codes", "generator.encoder.stem.1.weight", "generator.modules_coarse_to_fine.0.disp.gain"):
        parameter = model.get_parameter(name)
        model.zero_grad()
        measure().backward()
        direction = torch.randn_like(parameter)
        slope = (parameter.grad * direction).sum()
        with torch.no_grad():
            parameter += 1e-6 * direction
            high = measure()
            parameter -= 2e-6 * direction
            low = measure()
            parameter += 1e-6 * direction
        assert abs(slope) > 1e-3
        assert ((high - low) / 2e-6).item() == pytest.approx(slope.item(), rel=2e-4)


def test_nmfc_are_taken_about_their_middle_and_stay_zero_off_the_mesh(placed):
    generator = placed(Generator(generator_config(), ("nmfc",), 3, 3, MIDDLE))
    seen = inputs_of(generator.encoder)
    guide = placed(maps(channels=3, source_channels=3))
    guide.source[:, :, :4], guide.coverage[:, 1, :4] = 0.0, 0.0
    source = placed(torch.rand(2, 3, *SIZE))
    generator(source, guide)
    wanted = 3.0 * (guide.source[:, :, 4:] - placed(MIDDLE)[:, None, None])
    assert torch.allclose(seen[0][:, 3:, 4:], wanted, atol=placed.atol)
    assert not seen[0][:, 3:, :4].any()


def test_the_image_has_a_gain_of_its_own(placed):
    generator = placed(disp_generator().eval())
    source, guide = 0.3 + 0.4 * placed(torch.rand(2, 3, *SIZE)), placed(maps())
    first = torch.logit(generator(source, guide).image)
    with torch.no_grad():
        generator.last.image_gain *= 2
    assert torch.allclose(torch.logit(generator(source, guide).image), 2 * first, atol=1e-3)


def test_training_starts_close_to_the_warped_source(placed):
    torch.manual_seed(0)
    start = replace(generator_config(), image_gain=1.0)
    generator = placed(Generator(start, ("disp",), 0, 2, MIDDLE))
    source = placed(torch.rand(2, 3, *SIZE)) * 0.8 + 0.1
    out = generator(source, placed(maps()))
    assert (out.image - out.warped).abs().mean() < 0.05
    generator.last.image.parametrizations.weight.original.data[:, :4] = 0.0
    alone = generator(source, placed(maps()))
    assert torch.allclose(alone.image, alone.warped, atol=0.01)


@pytest.mark.parametrize("name", EVERY)
def test_a_head_in_double_precision_guides_images_in_single_precision(name, on_device):
    torch.manual_seed(0)
    guidance = GuidanceConfig(name=name, render_px=16, code_dim=3, code_std=1.0, code_frequency=1.5)
    config = AnimatorConfig(guidance=guidance, generator=generator_config())
    model = on_device(Animator(HeadModel(random_head()).double(), config).eval())
    source = on_device(torch.rand(2, 3, *SIZE))
    fits = on_device([fit_of(model.head, seed=1), fit_of(model.head)])
    out = animate(model, source, *fits)
    assert {out.image.dtype, out.warped.dtype, out.guide.dtype} == {torch.float32}
    wanted = animate(on_device(animator(name).eval()), source, *fits)
    assert torch.allclose(out.image, wanted.image, atol=1e-2)
    assert (out.image - wanted.image).abs().mean() < 1e-4
