"""A training step that can be timed: a row on noise, and each thing that makes it fast, on or off.

Images are noise and heads are random, which costs the same as real ones. So do random weights of the perceptual
loss's VGG-19, which is therefore not read; other backbones are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Literal, cast

import torch
from torch import Tensor, nn

from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.method.network import Batch
from model.pwm.animator import Animator, AnimatorConfig, fit_signals, fits_of
from model.pwm.lesson import PwmLesson
from model.training.compiled import compile_parts, lacking
from model.training.config import TrainConfig
from model.training.discriminator import Discriminator
from model.training.loop import Players, Steps
from model.training.perceptual import Perceptual, vgg_taps
from model.training.replicas import ALONE, Replicas
from pipeline.adapters.pwm.configs import (
    discriminator_config,
    first_rates,
    generator_config,
    guidance_config,
    loss_config,
)  # fmt: skip
from pipeline.params.recipe import Recipe
from pipeline.params.sections.base import PerceptualSection
from pipeline.params.sections.pwm import PwmSection
from pipeline.training.configs import train_config
from pipeline.training.run import load_backbone

HEAD_SHARE = 0.7  # of the frame's height that the mean head fills


@dataclass(frozen=True)
class Way:
    """How a step is computed; what a user gets is `of_recipe`.

    Attributes:
        bfloat16: autocast.
        channels_last: memory layout of the convolutions.
        compiled: the parts of model/training/compiled.py.
        fused: Adam in one kernel a network.
        late: losses stay on the device and are looked at every few steps.
        tf32: convolutions and products of float32 in TF32, where they are not in bfloat16.
    """

    bfloat16: bool = True
    channels_last: bool = True
    compiled: bool = True
    fused: bool = True
    late: bool = True
    tf32: bool = True

    def without(self, name: str) -> "Way":
        """The same with one thing off."""
        return replace(self, **{name: False})


EVERYTHING = Way()
EAGER_TF32 = Way(bfloat16=False, channels_last=False, compiled=False, fused=False, late=False)
EAGER_FLOAT32 = EAGER_TF32.without("tf32")
THINGS = tuple(field.name for field in fields(Way))


def of_recipe(recipe: Recipe, device: torch.device) -> Way:
    """How the stage `train` computes a step of a recipe on a device."""
    cuda, run = device.type == "cuda", recipe.run
    return Way(run.precision == "bfloat16", run.channels_last, cuda and not lacking(), late=cuda)


class Course:
    """A row's networks, and batches of noise to train them with.

    Args:
        recipe: its size, batch and seed.
        network: sizes and losses.
        guidance: of the row.
        head: whose meshes guide.
        way: how steps are computed.
        device: where.
        team: processes that share each batch.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: PwmSection,
        guidance: str,
        head: HeadModel,
        way: Way,
        device: torch.device,
        team: Replicas = ALONE,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self._head, self._recipe, self._pairs, self._way = head, recipe, recipe.batch_size // team.count, way
        self.device, self.config = device, _config(recipe, network, way)
        self.lesson = _lesson(network, guidance, head)
        if way.compiled:
            compile_parts(self.lesson)
        players = Players.make(self.lesson, self.config, device)
        for adam in players.adams.values():
            for group in adam.param_groups:
                group["fused"] = way.fused
        self._steps = Steps(players, self.config, device, team, at_once=not way.late)
        self._draw = torch.Generator().manual_seed(recipe.seed)

    def batch(self) -> Batch:
        """Another batch, as a loader hands it over."""
        px = self._recipe.image_px
        images = torch.rand(2, self._pairs, 3, px, px, generator=self._draw)
        fits = [random_fits(self._head, self._pairs, self._draw) for _ in range(2)]
        batch = Batch(images[0], images[1], fit_signals(*fits))
        return batch.pin_memory() if self.device.type == "cuda" else batch

    def step(self, batch: Batch) -> None:
        """Update all networks once; the caller waits for the device."""
        self._steps.take(batch)

    def step_alone(self, batch: Batch) -> None:
        """A step whose losses are fetched at once."""
        self.step(batch)
        self.look()

    def look(self) -> None:
        """Fetch the losses since the last look."""
        self._steps.look()

    @torch.no_grad()
    def guide(self, batch: Batch) -> None:
        """Draw the guidance of a batch, and nothing else."""
        animator = self.lesson.network
        size = tuple(batch.source.shape[-2:])
        animator.guidance(animator.head, *fits_of(batch.to(self.device).signals), size)

    @contextmanager
    def arithmetic(self) -> Iterator[None]:
        """TF32 as this way has it; as it was on leaving."""
        before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = self._way.tf32
        try:
            yield
        finally:
            torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


class RandomVgg19(nn.Module):
    """The layers of `model.training.perceptual.Vgg19` with random weights."""

    def __init__(self, which: Literal["first", "last"]) -> None:
        super().__init__()
        from torchvision.models import vgg19

        layers = vgg19(weights=None).features
        self._taps = vgg_taps(layers, which)
        layers = layers[: self._taps[-1] + 1]
        self._layers = nn.Sequential(*(nn.ReLU() if isinstance(layer, nn.ReLU) else layer for layer in layers))

    def features(self, img: Tensor) -> list[Tensor]:
        """Five maps of images (B, 3, H, W)."""
        maps = []
        for index, layer in enumerate(self._layers):
            img = layer(img)
            if index in self._taps:
                maps.append(img)
        return maps


def random_fits(head: HeadModel, count: int, generator: torch.Generator) -> HeadFit:
    """Heads of random codes and angles that fill most of the frame."""
    low, high = head.template.amin(0), head.template.amax(0)
    placed = HEAD_SHARE * 2 / (high - low)[1].item()
    draws = [torch.randn(count, n, generator=generator) for n in (head.num_shape, head.num_expression, head.num_pose)]
    to_frame = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    x, y, _ = (-(low + high) / 2).tolist()
    camera = torch.zeros(head.num_camera) if head.perspective else torch.tensor([placed, x, y])
    return HeadFit(0.5 * draws[0], 0.3 * draws[1], 0.1 * draws[2], camera.repeat(count, 1), to_frame.repeat(count, 1))


def _lesson(network: PwmSection, guidance: str, head: HeadModel) -> PwmLesson:
    config = AnimatorConfig(guidance=guidance_config(network, guidance), generator=generator_config(network))
    judged_by = network.perceptual
    lesson = PwmLesson(
        Animator(head, config),
        Discriminator(discriminator_config(network)),
        Perceptual(_backbone(judged_by), judged_by.blocks, network.losses.perceptual_scales),
        loss_config(network),
        first_rates(network),
    )
    lesson.network.train(), lesson.rivals.train()
    return lesson


def _backbone(judged_by: PerceptualSection) -> nn.Module:
    if judged_by.backbone.startswith("vgg19_"):
        return RandomVgg19(cast(Literal["first", "last"], judged_by.backbone.removeprefix("vgg19_")))
    return load_backbone(judged_by)


def _config(recipe: Recipe, network: PwmSection, way: Way) -> TrainConfig:
    precision = "bfloat16" if way.bfloat16 else "float32"
    return replace(train_config(recipe, network), precision=precision, channels_last=way.channels_last)
