"""What a run costs: parameters, floating-point operations, and time; it is put back as it was."""

import csv
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from model.method.lesson import Lesson
from model.method.network import Batch
from model.training.looks import looked_at
from model.training.loop import Losses
from model.training.shared_norm import by_own_statistics
from pipeline.store.costs import Costs, write_costs
from pipeline.training.speed import SPEED
from pipeline.training.underway import Underway

GIGA = 1e9
REPEATS, BUDGET_S = 5, 2.0  # timings of a frame, of which the fastest counts: what else runs only adds


class Counted:
    """Writes a row's costs when its run is done.

    Operations are what torch.utils.flop_counter counts, two for a multiplication with its addition: convolutions and
    matrix products; not norms, activations, resampling or rasterisation.

    Args:
        run: the run.
        path: file to write.
        processes: that share each batch.
    """

    def __init__(self, run: Underway, path: Path, processes: int) -> None:
        self._run, self._path, self._processes = run, path, processes

    def begin(self, step: int, curve: list[Losses]) -> None:
        """A run that is only written out again has no further step."""
        if step == self._run.config.iterations:
            self._write()

    def after_step(self, step: int, losses: Losses) -> None:
        """Write after the last one."""
        if step == self._run.config.iterations:
            self._write()

    def _write(self) -> None:
        run, pairs = self._run, self._run.config.batch_size
        network = run.lesson.network
        sample = replace(run.sample, progress=1 - 1 / run.config.iterations)  # the last of a lesson's stages
        sample = _first(sample, min(pairs, len(sample.source)))  # nothing larger than a step of the run
        costs = Costs(
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            step_gflop=step_flops(run.lesson, sample, pairs) / GIGA,
            frame_gflop=frame_flops(network, sample) / GIGA,
            step_s=step_seconds(run.folder / SPEED, pairs),
            frame_s=frame_seconds(network, sample),
            frame_batch=len(sample.source),
            processes=self._processes,
            device=run.device.type,
        )
        write_costs(self._path, costs)


def step_flops(lesson: Lesson, sample: Batch, pairs: int) -> float:
    """Count one step of so many pairs; of more than the sample has, from steps of two sizes.

    What does not grow with the batch counts once.
    """
    many = len(sample.source)
    few = many // 2
    if pairs <= many:
        return _of_a_step(lesson, _first(sample, pairs))
    whole, half = (_of_a_step(lesson, _first(sample, count)) for count in (many, few))
    return whole + (whole - half) / (many - few) * (pairs - many)


def frame_flops(network: nn.Module, sample: Batch) -> float:
    """Count one frame."""
    one = _first(sample, 1)
    with _put_back(network), FlopCounterMode(display=False) as counter:  # with gradients: some networks take their own
        network.eval()(one.source, one.signals)
    return float(counter.get_total_flops())


def frame_seconds(network: nn.Module, sample: Batch) -> float:
    """Time the network on the sample: seconds a frame. The first call warms up, unless it takes all the time."""
    taken: list[float] = []
    with looked_at(network):
        while len(taken) <= REPEATS and sum(taken) < BUDGET_S:
            began = time.perf_counter()
            image = network(sample.source, sample.signals).image
            float(image.detach().flatten()[0])  # waits for the device
            taken.append(time.perf_counter() - began)
    return min(taken[1:] or taken) / len(sample.source)


def step_seconds(speed: Path, pairs: int) -> float | None:
    """The median of a run's steps, from its own table of speed; None where it has no row."""
    if not speed.is_file():
        return None
    with speed.open(newline="") as stream:
        rates = [float(row["images_per_s"]) for row in csv.DictReader(stream)]
    return pairs / statistics.median(rates) if rates else None


def _of_a_step(lesson: Lesson, batch: Batch) -> float:
    with _put_back(lesson.network, lesson.rivals), FlopCounterMode(display=False) as counter:
        found = lesson.losses(batch)
        for player, groups in lesson.players().items():
            learned = [parameter for group in groups for parameter in group.parameters]
            found.of[player].backward(inputs=learned, retain_graph=True)
    return float(counter.get_total_flops())


def _first(batch: Batch, count: int) -> Batch:
    signals = {name: signal[:count] for name, signal in batch.signals.items()}
    parts = batch.parts and (batch.parts[0][:count], batch.parts[1][:count])
    return replace(batch, source=batch.source[:count], target=batch.target[:count], signals=signals, parts=parts)


@contextmanager
def _put_back(*networks: nn.Module) -> Iterator[None]:
    """Put back what a step or a look changes: buffers, gradients, modes and random streams; nothing runs compiled."""
    buffers = [(buffer, buffer.clone()) for network in networks for buffer in network.buffers()]
    gradients = [(parameter, parameter.grad) for network in networks for parameter in network.parameters()]
    modes = [(module, module.training) for network in networks for module in network.modules()]
    devices = sorted({p.device.index or 0 for p, _ in gradients if p.device.type == "cuda"})
    plain = torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
    for parameter, _ in gradients:
        parameter.grad = None
    with torch.random.fork_rng(devices), plain, by_own_statistics(*networks):
        yield
    with torch.no_grad():
        for buffer, before in buffers:
            buffer.copy_(before)
    for parameter, gradient in gradients:
        parameter.grad = gradient
    for module, training in modes:
        module.training = training
