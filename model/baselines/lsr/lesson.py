"""How LSR is taught: the layout first, then everything.

Source: MoustafaMeshry/lsr at a9a6643, scripts/train_lsr_pretrain.sh and train_lsr_meta_learning.sh (weights),
models/layout_pretraining_model.py and two_step_synthesis_model.py (losses), losses/losses.py. What is kept of it, what
is changed and what is left out stands in docs/cards/lsr.md.

In the first stage the layout's encoder and generator learn part labels of the driving frame, and to paint that frame
beside them. In the second all four networks learn the image against a discriminator.

Convention: codes, and what the discriminator sees, are in the network's [-1, 1]; images are compared in [0, 1].
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.baselines.lsr.discriminator import Critic
from model.baselines.lsr.network import RGB, Lsr
from model.method.lesson import ParamGroup, StepLosses
from model.method.network import Batch
from model.training.losses import mean_apart, wide
from model.training.perceptual import Perceptual

TERMS = (
    "segmentation", "painted", "layout_code", "perceptual", "pixel", "adversarial", "style_code", "real", "made",
    "penalty_real", "penalty_made",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class LayoutStage:
    """The first stage.

    Attributes:
        share: of the training.
        segmentation: weight of the cross-entropy of the part labels.
        painted: weight of the perceptual loss of the image that the layout's generator paints.
        layout_code: weight of the mean square of the layout's code.
    """

    share: float
    segmentation: float
    painted: float
    layout_code: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageStage:
    """The second stage.

    Attributes:
        perceptual, pixel, adversarial: weights of the image's losses.
        segmentation: weight of the cross-entropy, from which the published training lets go here.
        layout_code, style_code: weights of the codes' mean squares.
        penalty_real, penalty_made: R1 and R2, weights of the discriminator's squared gradients, halved.
    """

    perceptual: float
    pixel: float
    adversarial: float
    segmentation: float
    layout_code: float
    style_code: float
    penalty_real: float
    penalty_made: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LsrRates:
    """Adam's steps before any drop: of the image's encoder and generator, of the layout's, and of the discriminator."""

    generator: float
    layout: float
    discriminator: float


class LsrLesson:
    """See `model.method.lesson.Lesson`.

    Args:
        network: what is trained.
        critic: its rival, in the second stage.
        perceptual: frozen.
        layout: weights of the first stage.
        image: weights of the second stage.
        rates: first learning rates.
    """

    def __init__(
        self, network: Lsr, critic: Critic, perceptual: Perceptual, layout: LayoutStage, image: ImageStage,
        rates: LsrRates,
    ) -> None:  # fmt: skip
        self.network = network
        self.rivals = nn.ModuleDict({"discriminator": critic})
        self.fixed = nn.ModuleDict({"perceptual": perceptual})
        self._layout, self._image, self._rates = layout, image, rates

    @property
    def image_from(self) -> float:
        """Share of the training after which the image is taught."""
        return self._layout.share

    def players(self) -> dict[str, list[ParamGroup]]:
        """All four networks against the discriminator."""
        networks, rates = self.network.network, self._rates
        of_image = [*networks.encoder.parameters(), *networks.generator.parameters()]
        of_layout = [*networks.layout_encoder.parameters(), *networks.layout_generator.parameters()]
        rival = ParamGroup(list(self.rivals.parameters()), rates.discriminator)
        return {
            "generator": [ParamGroup(of_image, rates.generator), ParamGroup(of_layout, rates.layout)],
            "discriminator": [rival],
        }

    def losses(self, batch: Batch) -> StepLosses:
        """Measure the layout, or layout and image, as the progress says; terms of the other stage are 0 then.

        Raises:
            ValueError: the batch has no part labels.
        """
        if batch.parts is None:
            raise ValueError("LSR learns part labels, and these pairs have none")
        networks = self.network.network
        seen = torch.cat([batch.source, batch.signals["source_contour"]], 1) * 2 - 1
        contour, labels = batch.signals["driving_contour"] * 2 - 1, batch.parts[1].long()
        against: dict[str, Tensor] = {}
        if batch.progress < self._layout.share:
            code = networks.layout_encoder(seen)
            logits, painted = networks.layout_generator(contour, code).split([networks.classes, RGB], 1)
            weights = _weights(self._layout)
            values = {"painted": self._features(painted, batch.target)}
        else:
            z_style, code, logits, _, image = networks(seen, contour)
            weights = _weights(self._image)
            adversarial, against = self._judged(image, batch.target, contour)
            values = {
                "perceptual": self._features(image, batch.target),
                "pixel": mean_apart(wide(image + 1) / 2, batch.target)[0],
                "adversarial": adversarial,
                "style_code": mean_square(z_style),
            }
        values |= {"segmentation": F.cross_entropy(wide(logits), labels), "layout_code": mean_square(code)}
        found = values | against
        terms = {name: found[name].detach() if name in found else found["layout_code"].new_zeros(()) for name in TERMS}
        return StepLosses(
            {
                "generator": _weighted(values, weights),
                "discriminator": _weighted(against, weights) if against else _nothing(batch.target),
            },
            terms,
        )

    def _features(self, made: Tensor, target: Tensor) -> Tensor:
        perceptual = self.fixed["perceptual"]
        assert isinstance(perceptual, Perceptual)
        distance: Tensor = perceptual((made + 1) / 2, perceptual.target(target))
        return distance[0]

    def _judged(self, image: Tensor, target: Tensor, contour: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The generator's adversarial loss, and the discriminator's terms, of one pass over real and made images."""
        with torch.autocast(image.device.type, enabled=False):  # squares of gradients are too fine for bfloat16
            images = torch.cat([target * 2 - 1, wide(image)]).requires_grad_()
            logits = self.rivals["discriminator"](images, torch.cat([contour, contour]))
            real, made = logits.chunk(2)
            taken_for = torch.cat([F.softplus(-real), F.softplus(made)]).mean(1)
            said = taken_for.chunk(2)
            terms = {"real": said[0].mean(), "made": said[1].mean()}
            if self._image.penalty_real or self._image.penalty_made:  # a second backward pass, for those who ask for it
                steep = gradient_penalty(taken_for, images).chunk(2)
                terms |= {"penalty_real": steep[0].mean(), "penalty_made": steep[1].mean()}
            return F.softplus(-made).mean(), terms


def mean_square(code: Tensor) -> Tensor:
    """Mean square of codes (B, style)."""
    return wide(code).square().mean()


def gradient_penalty(values: Tensor, images: Tensor) -> Tensor:
    """Sum of the squared gradient that each image's value has to the image: (B,), (B, C, H, W) -> (B,).

    Values may depend on their own images alone.
    """
    (slope,) = torch.autograd.grad(values.sum(), images, create_graph=True)
    return slope.square().sum((1, 2, 3))


def _weights(stage: LayoutStage | ImageStage) -> dict[str, float]:
    """Weight by term; the discriminator's own two are not weighed, and its penalties by half of theirs."""
    weights = asdict(stage)
    return weights | {"real": 1.0, "made": 1.0} | {k: v / 2 for k, v in weights.items() if k.startswith("penalty")}


def _weighted(values: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    return torch.stack([weights[name] * value for name, value in values.items()]).sum()


def _nothing(like: Tensor) -> Tensor:
    """A loss that reaches no parameter, so that its player waits."""
    return like.new_zeros(()).requires_grad_()
