"""NMFC about their middle where the mesh covers a part of a pixel. Images are never square here."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model.heads.fit import HeadFit
from model.heads.head import HeadModel, load_head
from model.heads.nmfc import nmfc
from model.pwm.animator import Animator, AnimatorConfig
from model.pwm.config import GUIDANCE_PARTS, KEYS_OF_PART, GuidanceConfig, keys_that_count
from model.pwm.files import load_animator, save_animator
from model.pwm.generator import GuideInput
from model.pwm.guidance import Guidance
from model.render.raster import rasterize
from tests.devices import Place
from tests.helpers import ROOT, random_head
from tests.toy_networks import EVERY, MIDDLE, SIZE, animate, fit_of, generator_config

FACTOR = 3  # render_px 40 over 16 rows: a ninth of a pixel has no exact number
SCALE = 3.0  # of `generator_config`
NOTHING: Mapping[str, Any] = {}


def animator(
    name: str = "nmfc", generator: Mapping[str, Any] = NOTHING, guidance: Mapping[str, Any] = NOTHING
) -> Animator:
    torch.manual_seed(0)
    rendered = GuidanceConfig(name=name, render_px=40, code_dim=3, code_std=1.0, code_frequency=1.5)
    config = AnimatorConfig(guidance=replace(rendered, **guidance), generator=replace(generator_config(), **generator))
    return Animator(HeadModel(random_head()), config).eval()


def made(model: Animator, place: Place) -> torch.Tensor:
    source = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        return animate(place(model), *place((source, fit_of(model.head, seed=1), fit_of(model.head)))).image


def centred_fragments(head: HeadModel, fit: HeadFit, size: tuple[int, int]) -> np.ndarray:
    """NMFC (B, h, w, 3) of every fragment about their middle, times `SCALE`, in float64; zero off the mesh."""
    fragments = rasterize(head.place(fit), head.triangles, size)
    template = head.template.double().cpu().numpy()
    values = (template - template.min(0)) / np.ptp(template, 0).max()
    corners = values[head.triangles.cpu().numpy()[fragments.triangle.cpu().numpy().clip(0)]]
    seen = np.einsum("bhwk,bhwkc->bhwc", fragments.barycentric.double().cpu().numpy(), corners)
    return np.where(fragments.covered.cpu().numpy()[..., None], SCALE * (seen - values.mean(0)), 0.0)


def area_means(fine: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(B, H, W, C) -> (B, C, h, w), for whole ratios."""
    batch, tall, wide, count = fine.shape
    blocks = fine.reshape(batch, size[0], tall // size[0], size[1], wide // size[1], count)
    return blocks.mean((2, 4)).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("finer", [1, 2])  # of the maps beside the image
def test_every_level_sees_means_of_centred_fragments(finer, on_device):
    model = on_device(animator().double())
    head, driving, source = (
        model.head,
        on_device(fit_of(model.head)).to(torch.float64),
        on_device(fit_of(model.head, seed=1)),
    )
    source = source.to(torch.float64)
    generator, seen = model.generator, []
    for spade in [module.spade for module in generator.modules_coarse_to_fine] + [generator.last.spade]:
        spade.register_forward_pre_hook(lambda _m, args: seen.append(args[1]))
    encoded: list[torch.Tensor] = []
    generator.encoder.register_forward_pre_hook(lambda _m, args: encoded.append(args[0][:, 3:]))
    size = (finer * SIZE[0], finer * SIZE[1])
    maps = model.guidance(head, source, driving, size)
    generator(on_device(torch.rand(2, 3, *SIZE, dtype=torch.float64)), maps)

    fine = (48, 72) if finer == 1 else (64, 96)
    wanted = centred_fragments(head, driving, fine)
    assert [tuple(guide.shape[-2:]) for guide in seen] == [(4, 6), (8, 12), (16, 24)]
    for guide in seen:
        assert np.abs(guide.cpu().numpy() - area_means(wanted, tuple(guide.shape[-2:]))).max() < 1e-5
    assert np.abs(encoded[0].cpu().numpy() - area_means(centred_fragments(head, source, fine), SIZE)).max() < 1e-5


def guide_inputs(maps: torch.Tensor, coverage: torch.Tensor, middle: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What the convolutions see `by_coverage` and `in_full`."""
    return tuple(
        GuideInput(replace(generator_config(), nmfc_centre=centre), ("nmfc",), 3, middle).to(maps)(maps, coverage)
        for centre in ("by_coverage", "in_full")
    )


def test_whole_pixels_and_the_background_are_bit_for_bit_what_they_are_in_full(placed):
    model = placed(animator())
    maps = model.guidance(model.head, placed(fit_of(model.head, seed=1)), placed(fit_of(model.head)), SIZE)
    for values, coverage in ((maps.driving, maps.coverage[:, :1]), (maps.source, maps.coverage[:, 1:])):
        found, before = guide_inputs(values, coverage, placed(MIDDLE))
        whole, off, part = coverage == 1, coverage == 0, (coverage > 0) & (coverage < 1)
        assert min(whole.sum(), off.sum(), part.sum()) > 20
        assert torch.equal(found[(whole | off).expand_as(found)], before[(whole | off).expand_as(found)])
        assert not found[off.expand_as(found)].any()
        assert (found - before).abs().amax(1, keepdim=True)[part].min() > SCALE * placed(MIDDLE).max() / FACTOR**2 / 2


def test_an_outline_is_no_longer_as_strong_as_the_whole_middle(placed):
    """The shipped head in its frame at the size of the toys: half a pixel loses half the middle."""
    head = placed(load_head(ROOT / "pipeline" / "puppets" / "assets" / "puppet.npz"))
    config = GuidanceConfig(name="nmfc", render_px=128, code_dim=1, code_std=1.0, code_frequency=1.0)
    low, high = head.template.amin(0), head.template.amax(0)
    x, y, _ = (-(low + high) / 2).tolist()
    fit = HeadFit(
        *(placed(torch.zeros(1, count)) for count in (head.num_shape, head.num_expression, head.num_pose)),
        placed(torch.tensor([[1.4 / (high - low)[1].item(), x, y]])), placed(torch.tensor([[1.0, 0, 0, 0, 1, 0]])),
    )  # fmt: skip
    maps = Guidance(head, config)(head, fit, fit, (64, 80))
    found, before = guide_inputs(maps.driving, maps.coverage[:, :1], nmfc(head.template).mean(0))
    thin = ((maps.coverage[:, :1] > 0) & (maps.coverage[:, :1] <= 0.5)).expand_as(found)
    assert before[thin].min() * 6 / SCALE < -3.2
    assert found[thin].min() * 6 / SCALE > -1.65


@pytest.mark.parametrize("size", [SIZE, (20, 36)])
def test_coverage_is_of_both_meshes_and_exact(size, on_device):
    model = on_device(animator())
    source, driving = on_device(fit_of(model.head, seed=1)), on_device(fit_of(model.head))
    maps = model.guidance(model.head, source, driving, size)
    factor = -(-40 // size[0])
    for found, fit in zip(maps.coverage.unbind(1), (driving, source), strict=True):
        covered = rasterize(model.head.place(fit), model.head.triangles, (factor * size[0], factor * size[1])).covered
        counts = covered.cpu().numpy().reshape(2, size[0], factor, size[1], factor).sum((2, 4))
        assert np.array_equal(found.cpu().numpy(), (counts / np.float32(factor**2)).astype(np.float32))
    assert maps.coverage.shape == (2, 2, *size)
    assert maps.to(torch.float64).coverage.dtype == torch.float64


@pytest.mark.parametrize("name", [name for name in EVERY if "nmfc" not in GUIDANCE_PARTS[name]])
def test_other_guidance_renders_no_coverage(name, placed):
    model = placed(animator(name))
    assert model.guidance(model.head, placed(fit_of(model.head)), placed(fit_of(model.head)), SIZE).coverage.shape == (
        2,
        0,
        *SIZE,
    )


def test_gradients_of_maps_and_coverage(on_device):
    seen = on_device(GuideInput(generator_config(), ("nmfc",), 3, MIDDLE).double())
    drawn = [on_device(torch.rand(2, count, 4, 6, dtype=torch.float64, requires_grad=True)) for count in (3, 1)]
    assert torch.autograd.gradcheck(seen, drawn)


def test_a_model_from_before_the_key_generates_what_it_did(tmp_path: Path, on_device: Place):
    before = animator(generator={"nmfc_centre": "in_full"})
    save_animator(tmp_path, before, 1, {})
    file = tmp_path / "config.json"
    stored = json.loads(file.read_text())
    assert stored["generator"].pop("nmfc_centre") == "in_full"
    file.write_text(json.dumps(stored))
    old = load_animator(tmp_path, before.head)
    assert torch.equal(made(old, on_device), made(before, on_device))
    assert not torch.allclose(made(old, on_device), made(animator(), on_device), atol=1e-4)


def test_another_centre_is_refused():
    with pytest.raises(ValueError, match="nmfc_centre 'covered', expected by_coverage or in_full"):
        replace(generator_config(), nmfc_centre="covered")


CHANGED = {
    "disp_scale": 3.0, "code_dim": 4, "code_std": 2.0, "code_frequency": 3.0,
    "nmfc_scale": 5.0, "nmfc_centre": "in_full",
}  # fmt: skip


def test_every_key_of_a_part_has_a_changed_value():
    assert {key for keys in KEYS_OF_PART.values() for key in keys} == set(CHANGED)


@pytest.mark.parametrize("key", CHANGED)
@pytest.mark.parametrize("name", EVERY)
def test_a_key_counts_where_it_changes_what_is_made(name, key, placed):
    where = "guidance" if key.startswith("code") else "generator"
    counts = key in keys_that_count(CHANGED, name)
    before, after = (made(animator(name, **changes), placed) for changes in ({}, {where: {key: CHANGED[key]}}))
    assert torch.equal(before, after) != counts
