"""Time visibility and interpolation per image, beside the two obvious ways to write them.

`python -m benchmarks.raster` writes reports/benchmarks/raster.{json,md}. The references stand below: a Python loop
over triangles for visibility, and `attributes[triangles[ids]]` for interpolation.
"""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from model.interpolate import interpolate
from model.raster import Fragments, rasterize

OURS, LOOP, INDEXING = "model.raster", "loop over triangles", "attributes[triangles[ids]]"
WARM_UP = 2


def bumpy_head(batch: int, device: str) -> tuple[Tensor, Tensor]:
    """A closed mesh of FLAME's size, turned by up to 57 degrees: verts (B, 5041, 3), triangles (9940, 3)."""
    side = 71
    rng = torch.Generator().manual_seed(0)
    theta = torch.linspace(0, torch.pi, side)[:, None]
    phi = torch.arange(side) * (2 * torch.pi / side)
    radius = 0.8 * (1 + 0.05 * theta.sin() * torch.randn(side, side, generator=rng))
    x, y, z = 0.7 * radius * theta.sin() * phi.sin(), radius * theta.cos(), radius * theta.sin() * phi.cos()
    yaw = 2 * torch.rand(batch, 1, 1, generator=rng) - 1
    x, depth = yaw.cos() * x + yaw.sin() * z, yaw.sin() * x - yaw.cos() * z
    verts = torch.stack([x, -y.expand_as(x), depth], -1).flatten(1, 2)
    corner = torch.arange(side - 1)[:, None] * side + torch.arange(side)
    right = torch.arange(side - 1)[:, None] * side + (torch.arange(side) + 1) % side
    quads = [
        torch.stack(t, -1).view(-1, 3) for t in ((corner, corner + side, right), (right, corner + side, right + side))
    ]
    return verts.to(device), torch.cat(quads).to(device)


def rasterize_by_loop(verts: Tensor, triangles: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """The plain z-buffer: for every triangle, test the pixels of its box. Returns ids (H, W) of one mesh (V, 3)."""
    height, width = size_hw
    verts = verts.double()
    points = (verts + 1) * 0.5 * verts.new_tensor([width, height, 0])
    ids = torch.full(size_hw, -1)
    nearest = torch.full(size_hw, torch.inf, dtype=torch.float64)
    for number, corners in enumerate(triangles.tolist()):
        (x0, x1, x2), (y0, y1, y2) = points[corners, 0].tolist(), points[corners, 1].tolist()
        area2 = (x2 - x0) * (y1 - y0) - (x1 - x0) * (y2 - y0)
        left, right = max(0, round(min(x0, x1, x2))), min(width, round(max(x0, x1, x2)))
        top, bottom = max(0, round(min(y0, y1, y2))), min(height, round(max(y0, y1, y2)))
        if area2 <= 0 or left >= right or top >= bottom:
            continue
        x = torch.arange(left, right, dtype=torch.float64) + 0.5
        y = torch.arange(top, bottom, dtype=torch.float64)[:, None] + 0.5
        w1 = ((x2 - x0) * (y - y0) - (x - x0) * (y2 - y0)) / area2
        w2 = ((x - x0) * (y1 - y0) - (x1 - x0) * (y - y0)) / area2
        z0, z1, z2 = verts[corners, 2].tolist()
        z = z0 + w1 * (z1 - z0) + w2 * (z2 - z0)
        box = (slice(top, bottom), slice(left, right))
        wins = (w1 >= 0) & (w2 >= 0) & (w1 + w2 <= 1) & (z < nearest[box])
        nearest[box][wins] = z[wins]
        ids[box][wins] = number
    return ids


def interpolate_by_indexing(fragments: Fragments, attributes: Tensor, triangles: Tensor) -> Tensor:
    """The one-liner: gather at every pixel, background included. (V, C) -> (B, C, H, W)."""
    values = attributes[triangles[fragments.triangle.clamp(min=0)]]
    return (values * fragments.barycentric[..., None]).sum(-2).permute(0, 3, 1, 2)


def seconds(work: Callable[[], object], repeats: int, device: str, warm_up: int = WARM_UP) -> list[tuple[float, float]]:
    """Wall and CPU times (all threads) of `repeats` calls after `warm_up` unmeasured ones."""
    times = []
    for _ in range(warm_up + repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    return times[warm_up:]


def row(
    device: str, what: str, method: str, size: int, batch: int, channels: int | None, times: list[tuple[float, float]]
) -> dict:
    """One measurement: median, quartiles and best wall time, and median CPU time, in ms per image."""
    wall, cpu = (sorted(1000 * t / batch for t in column) for column in zip(*times, strict=True))
    low, _, high = statistics.quantiles(wall, n=4) if len(wall) > 1 else wall * 3
    key = {"device": device, "what": what, "method": method, "size": size, "batch": batch, "channels": channels}
    spread = {"q25": low, "q75": high, "best": wall[0], "repeats": len(wall)}
    return key | {"ms_per_image": statistics.median(wall), "cpu_ms_per_image": statistics.median(cpu)} | spread


def visibility_rows(device: str, size: int, batches: list[int], repeats: int) -> list[dict]:
    """`rasterize` over batches, and the loop on one CPU image with the share of pixels where it disagrees."""
    rows = []
    for batch in batches:
        verts, triangles = bumpy_head(batch, device)
        times = seconds(lambda v=verts, t=triangles: rasterize(v, t, (size, size)), repeats, device)
        rows.append(row(device, "visibility", OURS, size, batch, None, times))
    if device == "cpu":
        verts, triangles = bumpy_head(1, device)
        times = seconds(lambda: rasterize_by_loop(verts[0], triangles, (size, size)), 2, device, warm_up=0)
        ids = rasterize(verts, triangles, (size, size)).triangle[0]
        differs = ids != rasterize_by_loop(verts[0], triangles, (size, size))
        rows.append(row(device, "visibility", LOOP, size, 1, None, times) | {"differs": differs.double().mean().item()})
    return rows


def interpolation_rows(
    device: str, size: int, batches: list[int], channels: list[int], repeats: int, largest_reference: int
) -> list[dict]:
    """Forward alone, and forward with backward to a shared (V, C) table, for both ways to write it."""
    rows = []
    for batch in batches:
        verts, triangles = bumpy_head(batch, device)
        fragments = rasterize(verts, triangles, (size, size))
        for count in channels:
            table = torch.rand(verts.shape[1], count, device=device, requires_grad=True)
            weight = torch.rand(batch, count, size, size, device=device)
            for method, function in ((OURS, interpolate), (INDEXING, interpolate_by_indexing)):
                if method == INDEXING and batch > largest_reference:
                    continue

                def forward(function=function, fragments=fragments, triangles=triangles, table=table) -> Tensor:
                    with torch.no_grad():
                        return function(fragments, table, triangles)

                def both(function=function, fragments=fragments, triangles=triangles, table=table, w=weight) -> None:
                    table.grad = None
                    function(fragments, table, triangles).backward(w)

                for what, work in (("forward", forward), ("forward + backward", both)):
                    rows.append(row(device, what, method, size, batch, count, seconds(work, repeats, device)))
    return rows


def environment(threads: int) -> dict:
    """What a reader needs to know to compare."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0] if names else cpu
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    command = " ".join(["python -m benchmarks.raster", *sys.argv[1:]])
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    machine = {"cpu": cpu, "cores": os.cpu_count(), "threads": threads, "gpu": gpu, "load_before": load}
    return {"command": command, "versions": versions, "machine": machine}


def markdown(report: dict) -> str:
    """The report as a page: times, ratios, and how often the loop disagrees."""
    machine, rows = report["machine"], report["rows"]
    lines = ["# Rasteriser", "", f"`{report['command']}`", ""]
    lines += [f"{machine['cpu']}, {machine['threads']} threads on {machine['cores']} cores, GPU: {machine['gpu']},"]
    lines += [f"load average before: {machine['load_before']}; torch {report['versions']['torch']}.", ""]
    lines += [
        "Mesh: 5041 vertices, 9940 triangles. ms per image: median (quartiles) and best; CPU ms over all threads,"
    ]
    lines += [
        "which other load on the machine disturbs less. Ratio: reference over ours, by CPU time (cuda: wall time).",
        "",
    ]
    lines += [
        "| device | what | C | size | batch | method | ms | best | CPU ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        spread = f"{r['ms_per_image']:.3g} ({r['q25']:.3g} to {r['q75']:.3g})"
        cells = (r["device"], r["what"], r["channels"] or "", r["size"], r["batch"], r["method"], spread)
        lines.append("| " + " | ".join(map(str, cells)) + f" | {r['best']:.3g} | {r['cpu_ms_per_image']:.3g} |")
    lines += ["", "| device | what | C | size | batch | ratio |", "|---|---|---|---|---|---|"]
    for r in report["ratios"]:
        cells = (r["device"], r["what"], r["channels"] or "", r["size"], r["batch"], f"{r['ratio']:.1f}")
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += ["", "Share of pixels where the loop, which does not snap vertices, names another triangle:"]
    lines += [", ".join(f"{r['size']} px: {r['differs']:.2g}" for r in rows if "differs" in r) + ".", ""]
    return "\n".join(lines)


def ratios(rows: list[dict]) -> list[dict]:
    """Reference over ours wherever both were measured; the loop, measured on one image, against every batch."""
    found = []
    for slow in (r for r in rows if r["method"] != OURS):
        for ours in (r for r in rows if r["method"] == OURS):
            keys = ["device", "what", "size", "channels"] + ["batch"] * (slow["method"] == INDEXING)
            if all(slow[k] == ours[k] for k in keys):
                clock = "cpu_ms_per_image" if ours["device"] == "cpu" else "ms_per_image"
                ratio = slow[clock] / ours[clock]
                found.append({k: ours[k] for k in ("device", "what", "channels", "size", "batch")} | {"ratio": ratio})
    return found


def main(
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("reports/benchmarks"),
    size: Annotated[list[int], typer.Option(help="Side of the square frame in px.")] = [64, 256],  # noqa: B006
    batch: Annotated[list[int], typer.Option(help="Images at once.")] = [1, 8, 32, 64],  # noqa: B006
    channels: Annotated[list[int], typer.Option(help="Attributes of a vertex.")] = [2, 3, 16],  # noqa: B006
    repeats: Annotated[int, typer.Option(min=1, help="Measured calls of each cell.")] = 5,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of torch.")] = 2,
    largest_reference: Annotated[int, typer.Option(help="Largest batch for indexing, which takes GBs.")] = 8,
) -> None:
    """Measure on the CPU, and on CUDA where there is one."""
    torch.set_num_threads(threads)
    report = environment(threads)
    rows: list[dict] = []
    for device in ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]:
        for side in size:
            rows += visibility_rows(device, side, batch, repeats)
            rows += interpolation_rows(device, side, batch, channels, repeats, largest_reference)
    report |= {"rows": rows, "ratios": ratios(rows)}
    out.mkdir(parents=True, exist_ok=True)
    (out / "raster.json").write_text(json.dumps(report, indent=1) + "\n")
    (out / "raster.md").write_text(markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    typer.run(main)
