"""What each thing that makes a step fast buys: everything on, and each thing off in turn, in one run."""

import statistics
import time
from dataclasses import replace
from typing import Any

import torch

from benchmarks.train_step import EAGER_FLOAT32, EAGER_TF32, EVERYTHING, THINGS, Course, Way, of_recipe
from model.heads.head import HeadModel
from model.training.compiled import lacking
from pipeline.params.recipe import Recipe
from pipeline.params.sections.pwm import PwmSection

WARM_UP = 3
EVERY = 5  # steps that are timed together: nothing waits for the device between them
SHOWN = {
    "bfloat16": "bfloat16 autocast", "channels_last": "channels last", "compiled": "torch.compile",
    "fused": "fused Adam", "late": "losses fetched late", "tf32": "TF32 where float32 is left",
}  # fmt: skip
CUDA_ALONE = {"compiled": "compiles", "late": "has losses to fetch", "tf32": "has TF32"}


class Timed:
    """A course whose steps are timed in groups.

    Args:
        course: what is trained.
    """

    def __init__(self, course: Course) -> None:
        self._course = course
        self.ms: list[float] = []
        with course.arithmetic():
            for _ in range(WARM_UP):
                course.step(course.batch())
            course.look()

    def go(self, steps: int) -> None:
        """Time some steps; the clock stops when the device is done."""
        course = self._course
        batches = [course.batch() for _ in range(steps)]
        with course.arithmetic():
            _wait(course.device)
            began = time.perf_counter()
            for batch in batches:
                course.step(batch)
            _wait(course.device)
            self.ms.append(1e3 * (time.perf_counter() - began) / steps)
            course.look()


def step_ms(
    recipe: Recipe, network: PwmSection, guidance: str, head: HeadModel, way: Way, device: torch.device, rounds: int
) -> float:
    """Milliseconds of a step computed in one way, the median of some rounds."""
    timed = Timed(Course(recipe, network, guidance, head, way, device))
    for _ in range(rounds):
        timed.go(EVERY if device.type == "cuda" else 1)
    if way.compiled:
        torch.compiler.reset()
    return statistics.median(timed.ms)


def ways(recipe: Recipe, device: torch.device) -> dict[str, Way | str]:
    """Name -> how steps are computed, or why they are not measured."""
    cuda = device.type == "cuda"
    base = replace(EVERYTHING, compiled=not lacking()) if cuda else of_recipe(recipe, device)
    found: dict[str, Way | str] = {"everything on": base}
    for thing in THINGS:
        name = f"without {SHOWN[thing]}"
        if not cuda and thing in CUDA_ALONE:
            found[name] = f"CUDA alone {CUDA_ALONE[thing]}"
        elif not getattr(base, thing):
            found[name] = lacking() if thing == "compiled" and cuda else "off in this recipe"
        else:
            found[name] = base.without(thing)
    none = "CUDA alone has TF32"
    found["nothing on, with TF32"] = EAGER_TF32 if cuda else none
    found["nothing on, float32"] = EAGER_FLOAT32 if cuda else replace(EAGER_FLOAT32, late=False)
    return found


def switches(
    recipe: Recipe, network: PwmSection, guidance: str, head: HeadModel, device: torch.device, rounds: int
) -> dict[str, dict[str, Any]]:
    """Time every way. On the CPU they take turns; on CUDA each is alone, because compiled networks fill the memory."""
    found: dict[str, dict[str, Any]] = {}
    wanted = {name: way for name, way in ways(recipe, device).items() if isinstance(way, Way)}
    if device.type == "cuda":
        for name, way in wanted.items():
            found[name] = {"ms": step_ms(recipe, network, guidance, head, way, device, rounds)}
    else:
        timed = {name: Timed(Course(recipe, network, guidance, head, way, device)) for name, way in wanted.items()}
        for _ in range(rounds):
            for each in timed.values():
                each.go(1)
        found = {name: {"ms": statistics.median(each.ms)} for name, each in timed.items()}
    first = found["everything on"]["ms"]
    for values in found.values():
        values["ratio"] = values["ms"] / first
    return {name: found.get(name, {"skipped": way}) for name, way in ways(recipe, device).items()}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
