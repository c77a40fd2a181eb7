"""What tells a run that has collapsed from one that learns slowly. Losses that are not finite are the loop's matter."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from model.method.lesson import Lesson
from model.method.network import Batch
from model.training.looks import looked_at
from model.training.loop import TrainingDiverged

DISCRIMINATOR = "discriminator"  # the player of a lesson that tells true images from made ones
# Of the discriminator's hinge loss, a sum of means of max(0, 1 -+ D) over patches and scales, which a coin gives 2 a
# scale. Below this not one patch in a thousand is on the wrong side of its margin: it has no gradient left.
WON_LOSS = 1e-3
# ... for so long: a share of the run, and never fewer steps. One that is ahead for some steps is caught up with; over
# a fiftieth of a run no batch has given it or, through it, the generator anything to learn.
WON_SHARE, WON_STEPS = 1 / 50, 100
# Mean change of the images, of [0, 1], where others drive them: half a level of 8 bits, so that what is saved is the
# same picture. The rows of profile `puppets` change theirs by 8 levels and more from the tenth step on.
STATIC_CHANGE = 0.5 / 255
# Looks in a row that find no change. A look costs two forward passes of a few pairs; there are four to a checkpoint, so
# that the last good state is one of the last two.
STATIC_LOOKS, LOOKS_PER_CHECKPOINT = 3, 4
# A network that starts as a copy of its source moves nothing at first: until it has moved once, a tenth of the run.
STATIC_START_SHARE, STATIC_START_STEPS = 1 / 10, 50  # ... and never fewer steps


class TrainingCollapsed(TrainingDiverged):
    """Losses are finite, but nothing is learned any more; the message says what was seen, and since when."""


@runtime_checkable
class Staged(Protocol):
    """A lesson whose first stages teach no image, so that neither images nor a rival have to move then."""

    @property
    def image_from(self) -> float:
        """Share of the training after which the image is taught."""
        ...


def image_begins(lesson: Lesson, iterations: int) -> float:
    """The step from which on a lesson teaches the image."""
    return lesson.image_from * iterations if isinstance(lesson, Staged) else 0.0


class DiscriminatorWatch:
    """Stops a run whose discriminator has had nothing to learn for long.

    Args:
        iterations: of the run.
        begins: step up to which it has nothing to learn.
    """

    def __init__(self, iterations: int, begins: float = 0.0) -> None:
        self._begins = begins
        self._patience = max(WON_STEPS, round(WON_SHARE * iterations))
        self._since: int | None = None

    def look(self, step: int, losses: Mapping[str, float]) -> None:
        """Look at the losses of a step, of every step or of some.

        Raises:
            TrainingCollapsed: the discriminator's loss has been zero for too long.
        """
        if step <= self._begins or losses[DISCRIMINATOR] >= WON_LOSS:
            self._since = None
            return
        self._since = step if self._since is None else self._since
        if step - self._since >= self._patience:
            raise TrainingCollapsed(
                f"training collapsed: the discriminator's loss is below {WON_LOSS:g} since step {self._since}, so that "
                "neither it nor the generator learns from the other; lower its learning rate or losses.adversarial, "
                "or train with another seed"
            )


class MotionWatch:
    """Stops a run whose images do not depend on what drives them.

    Args:
        network: what is trained.
        batch: a few pairs, at least two, on the network's device.
        iterations: of the run.
        begins: step up to which nothing teaches images to move.
    """

    def __init__(self, network: nn.Module, batch: Batch, iterations: int, begins: float = 0.0) -> None:
        self._network, self._batch, self._other = network, batch, rolled(batch)
        self._begins, self._start = begins, begins + max(STATIC_START_STEPS, STATIC_START_SHARE * iterations)
        self._still, self._moved = 0, 0

    def look(self, step: int) -> None:
        """Make the same sources move by two different drivers each, and compare.

        Raises:
            TrainingCollapsed: several looks in a row found the same images.
        """
        if step <= self._begins or drivers_equal(self._batch, self._other):
            return  # nothing can be said
        with looked_at(self._network):
            one, other = (self._made(batch) for batch in (self._batch, self._other))
            change = (one - other).abs().mean().item()
        if change >= STATIC_CHANGE:
            self._still, self._moved = 0, step
            return
        self._still += self._moved > 0 or step > self._start
        if self._still >= STATIC_LOOKS:
            when = f"they last did at step {self._moved}" if self._moved else "they never did"
            raise TrainingCollapsed(
                f"training collapsed: at step {step} images change by {255 * change:.2g} of 255 levels when somebody "
                f"else drives them; {when}; lower the learning rates, or look at fits and guidance with "
                "--previews-every"
            )

    def _made(self, batch: Batch) -> Tensor:
        image: Tensor = self._network(batch.source, batch.signals).image
        return image.float().clamp(0, 1)


def rolled(batch: Batch) -> Batch:
    """The same sources, each driven by the next pair's signals."""
    return Batch(batch.source, batch.target, {name: signal.roll(1, 0) for name, signal in batch.signals.items()})


def drivers_equal(one: Batch, other: Batch) -> bool:
    """Whether two batches are driven by equal signals."""
    return all(torch.equal(signal, other.signals[name]) for name, signal in one.signals.items())
