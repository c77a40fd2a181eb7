"""Everybody who looks at a run of a row: its curve, its speed, its pictures, and whether it still learns."""

from collections.abc import Callable, Iterable
from importlib import import_module
from math import lcm
from pathlib import Path
from typing import cast

from model.training.loop import Losses, look_every
from pipeline.training.collapse import (
    DISCRIMINATOR,
    LOOKS_PER_CHECKPOINT,
    DiscriminatorWatch,
    MotionWatch,
    image_begins,
)
from pipeline.training.growing import GrowingTable
from pipeline.training.speed import SPEED, SpeedLog
from pipeline.training.underway import Observer, Underway

Report = Callable[[int, Losses], None]
CURVE = "curve.csv"
# Found by name: pictures of a run decide on nothing, so that no stage depends on their code.
_PREVIEWS = "pipeline.watching.previews"


class Observers:
    """Several observers as one; each is told in turn."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = tuple(observers)

    def begin(self, step: int, curve: list[Losses]) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.begin(step, curve)

    def after_step(self, step: int, losses: Losses) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.after_step(step, losses)


class Reported:
    """Says how far a run is."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def begin(self, step: int, curve: list[Losses]) -> None:
        """Nothing is to be said yet."""

    def after_step(self, step: int, losses: Losses) -> None:
        """Say the losses of a step."""
        self._report(step, losses)


class Logged:
    """The growing tables: `curve.csv` in the row's folder, where DVC's plots look, and the speed beside the states.

    At the end the curve has the same bytes however often the run was stopped on its way.
    """

    def __init__(self, run: Underway, out: Path) -> None:
        self._run, self._curve = run, GrowingTable(out / CURVE)
        # Between two looks of the loop time stands still: steps are told one after the other when they are done.
        self._timed_every = lcm(run.config.log_every, look_every(run.device))
        self._speed = SpeedLog(run.folder / SPEED, run.config.batch_size, run.device, run.waited)

    def begin(self, step: int, curve: list[Losses]) -> None:
        """Go on behind what the run has already."""
        self._curve.begin(curve)
        self._speed.begin(step)

    def after_step(self, step: int, losses: Losses) -> None:
        """Write a row every `log_every` steps, and one for the last."""
        config = self._run.config
        last = step == config.iterations
        if last or step % config.log_every == 0:
            self._curve.add({"step": step, **losses})
        if last or step % self._timed_every == 0:
            self._speed.add(step, learning_rates(self._run, step))


class Guarded:
    """Stops a run that has collapsed.

    Args:
        run: the run.
        adversarial: whether the generator learns from its rival, where it has one; else that may be as good as it
            likes.
    """

    def __init__(self, run: Underway, adversarial: bool) -> None:
        iterations = run.config.iterations
        has_rival = adversarial and DISCRIMINATOR in run.lesson.players()
        begins = image_begins(run.lesson, iterations)
        self._rival = DiscriminatorWatch(iterations, begins) if has_rival else None
        self._motion = MotionWatch(run.lesson.network, run.sample, iterations, begins)
        self._every = max(1, run.config.checkpoint_every // LOOKS_PER_CHECKPOINT)

    def begin(self, step: int, curve: list[Losses]) -> None:
        """Nothing is known yet."""

    def after_step(self, step: int, losses: Losses) -> None:
        """Look at the losses of each step, and at pictures now and then."""
        if self._rival is not None:
            self._rival.look(step, losses)
        if step % self._every == 0:
            self._motion.look(step)


class Pictured:
    """Writes contact sheets.

    Args:
        run: the run.
        every: steps between two of them.
    """

    def __init__(self, run: Underway, every: int) -> None:
        self._run, self._every = run, every
        self._write = cast(Callable[[Underway, int], Path], import_module(_PREVIEWS).write_preview)

    def begin(self, step: int, curve: list[Losses]) -> None:
        """The first is made when its steps are done."""

    def after_step(self, step: int, losses: Losses) -> None:
        """Write the sheet of a step whose turn it is, and of the last."""
        if step % self._every == 0 or step == self._run.config.iterations:
            self._write(self._run, step)


def learning_rates(run: Underway, step: int) -> dict[str, float]:
    """The rate of each player's groups in a step (counted from 1); a second group is called `<player>.2`."""
    factor = run.config.lr_factor(step - 1)
    return {
        f"learning_rate.{player}" + (f".{number}" if number > 1 else ""): group.rate * factor
        for player, groups in run.lesson.players().items()
        for number, group in enumerate(groups, 1)
    }
