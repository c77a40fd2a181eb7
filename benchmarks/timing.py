"""What every timing shares: the clock, the spread, the machine, and the memory's speed."""

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from pipeline.store.provenance import commit, versions

WARM_UP = 2
FEWEST = 3  # measured calls of a cell, however long they take
COPIED_BYTES = 1 << 28

Times = list[tuple[float, float]]  # wall and CPU seconds (all threads) of each call


def seconds(
    work: Callable[[], object], device: str, repeats: int, budget_s: float, warm_up: int = WARM_UP, fewest: int = FEWEST
) -> Times:
    """Time calls after `warm_up` unmeasured ones: `repeats` of them, or `fewest` once the budget is spent."""
    return in_turns([work], device, repeats, budget_s, warm_up, fewest)[0]


def in_turns(
    works: Sequence[Callable[[], object]], device: str, repeats: int, budget_s: float,
    warm_up: int = WARM_UP, fewest: int = FEWEST,
) -> list[Times]:  # fmt: skip
    """Time several pieces of work in turns, as `seconds` times one: a machine's slow moments then meet all of them."""
    times: list[Times] = [[] for _ in works]
    started = time.perf_counter()
    for call in range(warm_up + repeats):
        if len(times[0]) >= fewest and time.perf_counter() - started > budget_s:
            break
        for work, own in zip(works, times, strict=True):
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            if device == "cuda":
                torch.cuda.synchronize()
            if call >= warm_up:
                own.append((time.perf_counter() - wall, time.process_time() - cpu))
    return times


def spread(times: Times, batch: int) -> dict[str, float]:
    """Median, quartiles and best wall time and median CPU time, in ms per image, and how many calls."""
    wall, cpu = (sorted(1000 * t / batch for t in column) for column in zip(*times, strict=True))
    low, _, high = statistics.quantiles(wall, n=4, method="inclusive") if len(wall) > 1 else wall * 3
    return {
        "ms_per_image": statistics.median(wall),
        "q25": low,
        "q75": high,
        "best": wall[0],
        "cpu_ms_per_image": statistics.median(cpu),
        "repeats": len(wall),
    }


def clock(device: str) -> str:
    """The number that ratios are taken of: other load on the machine lengthens wall time more than CPU time."""
    return "cpu_ms_per_image" if device == "cpu" else "ms_per_image"


def bandwidth(device: str) -> float:
    """Bytes a second that a plain copy moves, reads and writes together: what no kernel can beat."""
    source = torch.ones(COPIED_BYTES // 4, device=device)
    target = torch.empty_like(source)
    best = min(wall for wall, _ in seconds(lambda: target.copy_(source), device, 5, 2.0))
    return 2 * COPIED_BYTES / best


def processor() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def environment(module: str, threads: int) -> dict:
    """What a reader needs to know to compare."""
    cpu = processor()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    return {
        "command": " ".join([f"python -m {module}", *sys.argv[1:]]),
        "commit": commit(),
        "versions": versions(),
        "machine": {"cpu": cpu, "cores": os.cpu_count(), "threads": threads, "gpu": gpu, "load_before": load},
    }


def heading(title: str, report: dict) -> list[str]:
    """First lines of a report's page."""
    machine = report["machine"]
    return [
        f"# {title}",
        "",
        f"`{report['command']}`",
        "",
        f"{machine['cpu']}, {machine['threads']} threads on {machine['cores']} cores, GPU: {machine['gpu']}, load",
        f"average before: {machine['load_before']}; torch {report['versions']['torch']}, commit {report['commit']}.",
        "",
    ]


def table(header: list[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a Markdown table; None is an empty cell."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join("" if cell is None else str(cell) for cell in row) + " |" for row in rows]


def ms(value: float | None) -> str:
    """Milliseconds with three digits, a dash where nothing was measured."""
    return "-" if value is None else f"{value:.3g}"


def devices() -> list[str]:
    """The CPU, and CUDA where there is one."""
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
