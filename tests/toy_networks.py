"""Networks so small that a training step takes milliseconds, with what they are trained on. Images are never square."""

from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.method.network import Batch
from model.pwm.animator import Animator, AnimatorConfig, fit_signals
from model.pwm.config import GUIDANCE_PARTS, GeneratorConfig, GuidanceConfig
from model.pwm.generator import PWMOutput
from model.pwm.guidance import GuidanceMaps
from model.pwm.lesson import PwmLesson
from model.pwm.lesson_config import Rates
from model.training.adversarial import LossConfig
from model.training.config import TrainConfig
from model.training.discriminator import Discriminator, DiscriminatorConfig
from model.training.perceptual import Perceptual
from tests.helpers import random_head

SIZE = (16, 24)
MIDDLE = torch.tensor([0.3, 0.5, 0.4])
EVERY = sorted(GUIDANCE_PARTS)
CPU = torch.device("cpu")
RATES = Rates(generator=1e-3, discriminator=5e-4, codes=1e-2)
LOSSES = LossConfig(perceptual=1.0, perceptual_scales=2, adversarial=0.1, feature_matching=1.0, pixel=1.0, warped=1.0)


def fit_of(head: HeadModel, count: int = 2, seed: int = 0, tracker_map: tuple[float, ...] | None = None) -> HeadFit:
    generator = torch.Generator().manual_seed(seed)

    def draw(width: int, scale: float) -> torch.Tensor:
        return torch.randn(count, width, generator=generator) * scale

    maps = torch.tensor(tracker_map or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)).repeat(count, 1)
    camera = torch.tensor([0.06, 0.0, 0.0]).repeat(count, 1)
    return HeadFit(draw(head.num_shape, 0.5), draw(head.num_expression, 0.5), draw(head.num_pose, 0.1), camera, maps)


def generator_config(gain: float = 0.1, last_disp: str = "own", disp_refines: bool = False) -> GeneratorConfig:
    return GeneratorConfig(
        channels=(8, 8, 4),
        outer_kernel=5,
        spade_hidden=6,
        output="warped_source",
        last_disp=last_disp,
        disp_refines=disp_refines,
        disp_gain=gain,
        image_gain=1.5,
        disp_scale=2.0,
        nmfc_scale=3.0,
        nmfc_centre="by_coverage",
    )


def maps(channels: int = 2, source_channels: int = 0, count: int = 2) -> GuidanceMaps:
    torch.manual_seed(1)
    drawn = torch.rand(count, channels, *SIZE) * 0.3, torch.rand(count, source_channels, *SIZE)
    return GuidanceMaps(*drawn, torch.ones(count, 2, *SIZE))


class Trunk(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3, stride=2, padding=1)
        self.calls = 0

    def features(self, img: torch.Tensor) -> list[torch.Tensor]:
        self.calls += 1
        one = F.relu(self.first(img))
        return [one, self.second(one)]


def train_config(**changes: object) -> TrainConfig:
    values: dict[str, object] = {
        "iterations": 6, "batch_size": 2, "seed": 0, "lr_drop_steps": (2, 4), "lr_drop_factor": 0.1,
        "betas": (0.5, 0.999), "log_every": 2, "checkpoint_every": 2, "precision": "float32", "channels_last": False,
        "ema": None,
    }  # fmt: skip
    return TrainConfig(**(values | changes))


def networks(name: str = "geom_disp+neural_codes") -> tuple[Animator, Discriminator, Perceptual]:
    torch.manual_seed(0)
    config = AnimatorConfig(
        guidance=GuidanceConfig(name=name, render_px=16, code_dim=3, code_std=1.0, code_frequency=1.5),
        generator=generator_config(),
    )
    animator = Animator(HeadModel(random_head()), config)
    discriminator = Discriminator(DiscriminatorConfig(scales=2, layers=2, width=4, max_width=8))
    return animator, discriminator, Perceptual(Trunk(), 2, 2)


def lesson(name: str = "geom_disp+neural_codes", rates: Rates = RATES, losses: LossConfig = LOSSES) -> PwmLesson:
    return PwmLesson(*networks(name), losses, rates)


def of_output(name: str, output: str) -> PwmLesson:
    """The lesson of a guidance and an output."""
    animator, discriminator, perceptual = networks(name)
    asked = {"paper": {"last_disp": "upsampled", "image_gain": 1.0}}.get(output, {})
    config = replace(animator.config, generator=replace(generator_config(), output=output, **asked))
    torch.manual_seed(0)
    return PwmLesson(Animator(animator.head, config), discriminator, perceptual, LOSSES, RATES)


def animate(model: Animator, source: torch.Tensor, fit_src: HeadFit, fit_drv: HeadFit) -> PWMOutput:
    return model(source, fit_signals(fit_src, fit_drv)).own


def batch_at(step: int) -> Batch:
    generator = torch.Generator().manual_seed(step)
    head = HeadModel(random_head())
    source, driving = torch.rand(2, 2, 3, *SIZE, generator=generator)
    return Batch(source, driving, fit_signals(fit_of(head, seed=step), fit_of(head, seed=step + 100)))


def state_of(lesson: PwmLesson) -> dict[str, torch.Tensor]:
    both = (lesson.network, lesson.rivals)
    return {f"{i}.{k}": v for i, m in enumerate(both) for k, v in m.state_dict().items()}
