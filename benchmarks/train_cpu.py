"""A step on the CPU beside its own convolutions, beside a busy neighbour, and shared by two processes.

All numbers of one kind take turns within one run, because a machine that others use changes from minute to minute.
"""

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.synchronize import Event
from operator import truediv
from unittest.mock import patch

import torch
from torch import nn

from benchmarks.train_reference import ReferenceStep
from benchmarks.train_step import Course, of_recipe
from model.heads.head import HeadModel
from model.training.compiled import failed_to_compile
from model.training.replicas import Replicas, replicas
from pipeline.params.recipe import Recipe
from pipeline.params.sections.pwm import PwmSection

CPU = torch.device("cpu")
WARM_UP = 2
CONVOLUTIONS = "conv"  # in the names of operations
LOOP_S = 3.0  # of a bare loop of convolutions
ROUNDS = 3  # of one process, two, one loop, two
LAYER = (8, 64, 32, 3)  # batch, channels, side and kernel of its convolution: of the middle of a network of 64 px


def measure(
    team: Replicas, recipe: Recipe, network: PwmSection, guidance: str, head: HeadModel, steps: int
) -> dict[str, float]:
    """Time the steps of one row, and of the reference in turns with them; milliseconds of one of the processes."""
    torch.set_num_threads(recipe.run.cpu_threads)
    course = Course(recipe, network, guidance, head, of_recipe(recipe, CPU), CPU, team)
    reference = ReferenceStep(recipe, network) if team.count == 1 else None
    walls, processors, guiding, beside = [], [], [], []
    for _ in range(steps + WARM_UP):
        batch = course.batch()
        wall, processor = time.perf_counter(), time.process_time()
        course.step(batch)
        course.look()
        walls.append(1e3 * (time.perf_counter() - wall))
        processors.append(1e3 * (time.process_time() - processor))
        guiding.append(_ms(course.guide, batch))
        if reference is not None:
            beside.append(_ms(reference))
    found = {
        "step_ms": statistics.median(walls[WARM_UP:]),
        "step_min_ms": min(walls[WARM_UP:]),
        "step_max_ms": max(walls[WARM_UP:]),
        "step_cpu_ms": statistics.median(processors[WARM_UP:]),
        "rendering_ms": statistics.median(guiding[WARM_UP:]),
    }
    if beside:
        over = [step / slow for step, slow in zip(walls, beside, strict=True)]
        found |= {
            "reference_ms": statistics.median(beside[WARM_UP:]),
            "over_reference": statistics.median(over[WARM_UP:]),
        }
    return found


def follow(team: Replicas, *job: object) -> None:
    """Take part in another process's measurement."""
    measure(team, *job)  # type: ignore[arg-type]


def measured(processes: int, *job: object) -> dict[str, float]:
    """Measure one row with a number of processes."""
    with replicas(processes, follow, *job) as team:
        return measure(team, *job)  # type: ignore[arg-type]


def over_convolutions(
    recipe: Recipe, network: PwmSection, guidance: str, head: HeadModel, steps: int
) -> dict[str, float]:
    """Time of a step over the time that its convolutions take themselves, by torch's profiler."""
    torch.set_num_threads(recipe.run.cpu_threads)
    course = Course(recipe, network, guidance, head, of_recipe(recipe, CPU), CPU)
    for _ in range(WARM_UP):
        course.step_alone(course.batch())
    whole, convolutions = zip(*(_beside_convolutions(course) for _ in range(steps)), strict=True)
    return {
        "step_ms": statistics.median(whole),
        "convolutions_ms": statistics.median(convolutions),
        "ratio": statistics.median(map(truediv, whole, convolutions)),
    }


def by_compiler(
    recipe: Recipe, network: PwmSection, guidance: str, head: HeadModel, steps: int
) -> dict[str, float | str]:
    """What torch.compile makes of a step, in turns with the step as it is; nothing compiled is kept.

    A CPU run compiles nothing: this says what it forgoes.
    """
    torch.set_num_threads(recipe.run.cpu_threads)
    eager = of_recipe(recipe, CPU)
    courses = [Course(recipe, network, guidance, head, way, CPU) for way in (eager, replace(eager, compiled=True))]
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, TORCHINDUCTOR_CACHE_DIR=folder):
        began = time.perf_counter()
        try:
            courses[1].step_alone(courses[1].batch())
        except Exception as error:
            if not failed_to_compile(error):
                raise
            return {"skipped": f"torch.compile fails here ({type(error).__name__})"}
        compiling_s = time.perf_counter() - began
        for course in courses * WARM_UP:
            course.step_alone(course.batch())
        rows = [[_beside_convolutions(course) for course in courses] for _ in range(steps)]
    torch.compiler.reset()
    return {
        "compiling_s": compiling_s,
        "over_plain": statistics.median(compiled[0] / plain[0] for plain, compiled in rows),
        "ratio": statistics.median(truediv(*compiled) for _, compiled in rows),
    }


def _beside_convolutions(course: Course) -> tuple[float, float]:
    """Milliseconds of a step, and of the convolutions of the next, which is profiled: that lengthens it by a tenth."""
    took = _ms(course.step_alone, course.batch())
    batch = course.batch()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        course.step_alone(batch)
    events = [event for event in profile.key_averages() if CONVOLUTIONS in event.key]
    return took, sum(event.self_cpu_time_total for event in events) / 1e3


def beside_a_busy_core(
    recipe: Recipe, network: PwmSection, guidance: str, head: HeadModel, steps: int
) -> dict[str, float]:
    """How much longer a step takes while another process keeps one core busy; in turns with steps that are alone."""
    torch.set_num_threads(recipe.run.cpu_threads)
    course = Course(recipe, network, guidance, head, of_recipe(recipe, CPU), CPU)
    context = multiprocessing.get_context("spawn")
    busy, over = context.Event(), context.Event()
    other = context.Process(target=_spin, args=(busy, over), daemon=True)
    other.start()
    times: dict[bool, list[float]] = {False: [], True: []}
    try:
        for step in range(2 * (steps + WARM_UP)):
            beside = step % 2 == 1
            (busy.set if beside else busy.clear)()
            batch = course.batch()
            times[beside].append(_ms(course.step_alone, batch))
    finally:
        over.set()
        busy.set()
        other.join()
    alone, slowed = (statistics.median(times[beside][WARM_UP:]) for beside in (False, True))
    return {"alone_ms": alone, "beside_ms": slowed, "ratio": slowed / alone}


def gains_of_two(recipe: Recipe, network: PwmSection, guidance: str, head: HeadModel, steps: int) -> dict[str, float]:
    """What two processes gain over one, as a share of what two bare loops of convolutions gain over one."""
    rounds = []
    for _ in range(ROUNDS):
        one, two = (measured(count, recipe, network, guidance, head, steps)["step_ms"] for count in (1, 2))
        alone, both = (sum(_loops(count)) for count in (1, 2))
        rounds.append((one / two, both / alone))
    return {
        "processes": statistics.median(processes for processes, _ in rounds),
        "convolutions": statistics.median(convolutions for _, convolutions in rounds),
        "ratio": statistics.median(truediv(*gains) for gains in rounds),
    }


def _loops(count: int) -> list[float]:
    """Convolutions a second of each of some processes that do nothing else, at the same time."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(count) as pool:
        pool.map(_convolve, [0.2] * count, chunksize=1)  # all have started and have loaded torch
        return pool.map(_convolve, [LOOP_S] * count, chunksize=1)


def _convolve(duration_s: float) -> float:
    torch.set_num_threads(1)
    batch, channels, side, kernel = LAYER
    layer = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
    images = torch.rand(batch, channels, side, side, requires_grad=True)
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < duration_s:
        layer(images).sum().backward()
        done += 1
    return done / (time.perf_counter() - began)


def _spin(busy: Event, over: Event) -> None:
    while not over.is_set():
        busy.wait()
        end = time.perf_counter() + 0.01
        while time.perf_counter() < end:
            pass


def _ms(work: Callable[..., object], *given: object) -> float:
    began = time.perf_counter()
    work(*given)
    return 1e3 * (time.perf_counter() - began)
