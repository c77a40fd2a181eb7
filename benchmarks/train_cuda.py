"""A step on CUDA beside what the card can do at most: its rate of bfloat16 products, its memory, its kernels."""

import gc
import statistics
from typing import Any

import torch

from benchmarks.timing import bandwidth, seconds
from benchmarks.train_flops import step_gflops
from benchmarks.train_step import EAGER_FLOAT32, EAGER_TF32, Course, of_recipe
from benchmarks.train_switches import Timed, step_ms
from benchmarks.train_waits import data_wait
from model.heads.head import HeadModel
from pipeline.params.recipe import Recipe
from pipeline.params.sections.pwm import PwmSection

SIDE = 8192  # of the matrices whose product is timed
PROFILED, KERNELS = 3, 12  # steps, and kernels that are named
MATRIX = ("conv", "gemm", "cudnn", "xmma", "nvjet", "cutlass", "wgrad", "dgrad", "fprop")  # parts of kernels' names


def matrix_rate() -> float:
    """Operations a second of a large product of bfloat16 matrices: the most that a step could reach."""
    one, other = (torch.randn(SIDE, SIDE, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 2 * SIDE**3 / min(wall for wall, _ in seconds(lambda: one @ other, "cuda", 20, 5.0))


def on_cuda(
    recipe: Recipe, network: PwmSection, guidance: str, head: HeadModel, device: torch.device, rounds: int,
    rate: float, compare: bool,
) -> dict[str, Any]:  # fmt: skip
    """All numbers of a row: its step as it is trained, eager ones beside it, floor, memory, guidance, kernels."""
    way = of_recipe(recipe, device)
    torch.cuda.reset_peak_memory_stats(device)
    course = Course(recipe, network, guidance, head, way, device)
    timed = Timed(course)
    for _ in range(rounds):
        timed.go(5)
    found: dict[str, Any] = {
        "step_ms": statistics.median(timed.ms),
        "peak_gib": torch.cuda.max_memory_allocated(device) / 2**30,
        "gflop_an_image": step_gflops(recipe, network, guidance, head),
        "compiled": way.compiled,
        "guidance_ms": _guidance_ms(course),
    }
    found["floor_ms"] = 1e12 * found["gflop_an_image"] * recipe.batch_size / rate
    found["floors"] = found["step_ms"] / found["floor_ms"]
    found["guidance_share"] = found["guidance_ms"] / found["step_ms"]
    found["data_wait_share"] = data_wait(course, head, recipe, found["step_ms"])
    found |= _kernels(course)
    del course, timed
    torch.compiler.reset()
    gc.collect()
    torch.cuda.empty_cache()
    if compare:
        for name, eager in (("eager_float32", EAGER_FLOAT32), ("eager_tf32", EAGER_TF32)):
            found[f"{name}_ms"] = step_ms(recipe, network, guidance, head, eager, device, rounds)
            found[f"over_{name}"] = found[f"{name}_ms"] / found["step_ms"]
    return found


def _guidance_ms(course: Course) -> float:
    batch = course.batch()
    return 1e3 * statistics.median(wall for wall, _ in seconds(lambda: course.guide(batch), "cuda", 20, 2.0))


def _kernels(course: Course) -> dict[str, Any]:
    """Names, shares and numbers of the kernels that take longest, and what those that multiply nothing could move."""
    batches = [course.batch() for _ in range(PROFILED)]
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile, course.arithmetic():
        for batch in batches:
            course.step(batch)
        torch.cuda.synchronize()
    course.look()
    events = sorted(profile.key_averages(), key=lambda event: -event.self_device_time_total)
    total = sum(event.self_device_time_total for event in events)
    other = sum(e.self_device_time_total for e in events if not any(part in e.key.lower() for part in MATRIX))
    return {
        "busy_ms": total / 1e3 / PROFILED,
        "other_kernels_ms": other / 1e3 / PROFILED,
        "other_kernels_gb": other / 1e6 / PROFILED * bandwidth("cuda") / 1e9,
        "kernels": [
            {
                "name": event.key[:100],
                "share": event.self_device_time_total / total,
                "calls": event.count / PROFILED,
            }
            for event in events[:KERNELS]
        ],
    }
