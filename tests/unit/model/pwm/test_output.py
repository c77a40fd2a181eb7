"""The paper's output beside ours: what it sees, what it refuses, and that it learns. Images are never square here."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from model.frame.coords import resize_disp
from model.frame.warp import warp
from model.heads.head import HeadModel
from model.method.network import Batch
from model.pwm.animator import Animator, AnimatorConfig, fit_signals
from model.pwm.blocks import DisplacementHead, Spade
from model.pwm.config import GeneratorConfig, GuidanceConfig
from model.pwm.files import load_animator, save_animator
from model.pwm.generator import Generator
from model.pwm.lesson import PwmLesson
from model.pwm.output import OUTPUTS
from model.training.loop import Players, train_step
from pipeline.adapters.pwm.record import comparable
from pipeline.params.tree import load_params
from tests.devices import Place
from tests.helpers import ROOT, random_head
from tests.toy_networks import (
    EVERY,
    LOSSES,
    MIDDLE,
    RATES,
    SIZE,
    animate,
    fit_of,
    generator_config,
    maps,
    networks,
    train_config,
)  # fmt: skip


def paper() -> GeneratorConfig:
    return replace(generator_config(), output="paper", last_disp="upsampled", image_gain=1.0)


def paper_animator(name: str) -> Animator:
    torch.manual_seed(0)
    guidance = GuidanceConfig(name=name, render_px=16, code_dim=3, code_std=1.0, code_frequency=1.5)
    return Animator(HeadModel(random_head()), AnimatorConfig(guidance=guidance, generator=paper()))


def test_the_image_is_one_convolution_of_the_realigned_features(placed):
    torch.manual_seed(0)
    generator = placed(Generator(paper(), ("disp",), 0, 2, MIDDLE).eval())
    realigned: list[torch.Tensor] = []
    generator.modules_coarse_to_fine[-1].register_forward_hook(lambda _m, _a, out: realigned.append(out[0]))
    out = generator(placed(torch.rand(2, 3, *SIZE)), placed(maps()))
    last = generator.last.image
    wanted = torch.sigmoid(F.conv2d(realigned[0], last.weight, last.bias, padding=2))
    assert torch.allclose(out.image, wanted, atol=placed.atol)
    assert {name.partition(".")[0] for name, _ in generator.last.named_parameters()} == {"image"}


def test_levels_below_the_last_have_spade_and_displacement_and_no_others():
    generator = Generator(paper(), ("disp",), 0, 2, MIDDLE)
    levels = generator.config.levels
    for kind in (Spade, DisplacementHead):
        assert [type(m) for m in generator.modules()].count(kind) == levels - 1


@pytest.mark.parametrize("name", EVERY)
def test_the_last_predicted_displacement_warps_the_source(name, placed):
    model = placed(paper_animator(name))
    source = placed(torch.rand(2, 3, *SIZE))
    out = animate(model, source, placed(fit_of(model.head, seed=1)), placed(fit_of(model.head)))
    assert [tuple(d.shape) for d in out.disps] == [(2, 2, 4, 6), (2, 2, 8, 12), (2, 2, 16, 24)]
    assert out.disps[1].abs().max() > 1e-3
    assert torch.equal(out.disps[2], resize_disp(out.disps[1], SIZE))
    assert torch.equal(out.warped, warp(source, out.disps[2]))
    assert out.image.shape == source.shape
    assert 0 <= out.image.min() < out.image.max() <= 1


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"output": "papers"}, "paper or warped_source"),
        ({"output": "paper"}, "last_disp: upsampled"),
        ({"output": "paper", "last_disp": "upsampled"}, "image_gain: 1, not 1.5"),
    ],
)
def test_what_an_output_cannot_do_is_refused(changes, remedy):
    with pytest.raises(ValueError, match=remedy):
        replace(generator_config(), **changes)


def test_a_parameter_file_that_asks_for_it_is_refused(tmp_path: Path):
    text = (ROOT / "params.yaml").read_text()
    file = tmp_path / "params.yaml"
    file.write_text(text.replace("output: warped_source", "output: paper"))
    assert load_params(file).networks["toy64"].pwm.generator.output == "paper"
    file.write_text(text.replace("output: warped_source", "output: paper").replace("image_gain: 1 ", "image_gain: 2 "))
    with pytest.raises(ValueError, match="set image_gain: 1, not 2"):
        load_params(file)


def few_frames(head: HeadModel) -> Batch:
    """Two pairs of smooth pictures, which a few steps can learn."""
    generator = torch.Generator().manual_seed(3)
    source, driving = F.interpolate(torch.rand(4, 3, 2, 2, generator=generator), SIZE, mode="bilinear").chunk(2)
    return Batch(source, driving, fit_signals(fit_of(head, seed=1), fit_of(head, seed=2)))


def train(placed: Place, model: Animator, channels_last: bool, steps: int) -> list[float]:
    _, discriminator, perceptual = placed(networks())
    config = train_config(channels_last=channels_last)
    weights = replace(LOSSES, adversarial=0.0, feature_matching=0.0)
    lesson = PwmLesson(model.train(), discriminator, perceptual, weights, replace(RATES, generator=5e-3))
    players = Players.make(lesson, config, placed.device)
    batch = placed(few_frames(model.head))
    return [train_step(players, batch, config, placed.device)["pixel"] for _ in range(steps)]


@pytest.mark.parametrize("channels_last", [False, True])
def test_the_papers_output_learns_a_few_frames(channels_last, placed):
    pixel = train(placed, placed(paper_animator("geom_disp+neural_codes")), channels_last, 60)
    assert pixel[-1] < 0.4 * pixel[0]


def test_the_layout_in_memory_changes_nothing_but_last_digits(placed):
    first = placed(paper_animator("geom_disp"))
    second = copy.deepcopy(first)
    assert train(placed, first, False, 3) == pytest.approx(train(placed, second, True, 3), rel=1e-3)


@pytest.mark.parametrize("name", EVERY)
def test_gradients_reach_every_part(name, placed):
    model = placed(paper_animator(name))
    _, discriminator, perceptual = placed(networks())
    lesson = PwmLesson(model, discriminator, perceptual, LOSSES, RATES)
    players = Players.make(lesson, train_config(), placed.device)
    train_step(players, placed(few_frames(model.head)), train_config(), placed.device)
    still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not still


def test_a_model_from_before_the_key_is_one_that_starts_at_the_warped_source(tmp_path: Path):
    torch.manual_seed(0)
    head = HeadModel(random_head())
    guidance = GuidanceConfig(name="geom_disp", render_px=16, code_dim=3, code_std=1.0, code_frequency=1.5)
    sizes = generator_config()
    network = {"generator": {"output": "warped_source", "outer_kernel": 5}, "guidance": {"render_px": 16}}
    made_from = {"row": "a", "guidance": "geom_disp", "recipe": {"seed": 0}, "network": network}
    save_animator(tmp_path, Animator(head, AnimatorConfig(guidance=guidance, generator=sizes)), 1, made_from)
    file = tmp_path / "config.json"
    stored = json.loads(file.read_text())
    now = load_animator(tmp_path, head).state_dict()
    del stored["generator"]["output"], stored["provenance"]["network"]["generator"]["output"]
    file.write_text(json.dumps(stored))
    old = load_animator(tmp_path, head)
    assert type(old.generator.last) is OUTPUTS["warped_source"]
    assert all(torch.equal(old.state_dict()[name], value) for name, value in now.items())
    assert comparable(stored["provenance"]) == made_from
    newer = {**made_from, "network": {**network, "generator": {"output": "paper", "outer_kernel": 5}}}
    assert comparable(newer) == newer
