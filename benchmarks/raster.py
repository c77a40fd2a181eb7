"""Time visibility and interpolation per image, beside other ways to do it (benchmarks/raster_references.py).

`python -m benchmarks.raster` writes reports/benchmarks/raster.{json,md}; a full run takes about three minutes on two
quiet cores, because a cell stops when its share of time is spent.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from benchmarks.raster_flat import flat
from benchmarks.raster_references import (
    PACKAGES,
    interpolate_by_indexing,
    rasterize_by_lists,
    rasterize_by_loop,
    rasterize_vectorised,
)
from benchmarks.timing import (
    Times,
    bandwidth,
    clock,
    devices,
    environment,
    heading,
    in_turns,
    ms,
    seconds,
    spread,
    table,
)
from model.render.interpolate import interpolate
from model.render.raster import Fragments, rasterize
from pipeline.store.provenance import write_json, write_text

OURS, LOOP, VECTORISED, INDEXING = "ours", "loop over triangles", "vectorised z-buffer", "attributes[triangles[ids]]"
LISTS = "ours as on a GPU"  # on a CPU, in turns with its own way
VISIBILITY, FORWARD, BOTH, ALL = "visibility", "forward", "forward + backward", "visibility + forward + backward"
Interpolate = Callable[[Fragments, Tensor, Tensor], Tensor]
LARGEST_LOOP = 1  # images of the loop, which takes a second each
GOALS = [  # (device, what, channels, size, batch, reference, least ratio)
    ("cpu", VISIBILITY, None, 256, 8, LOOP, 150.0),
    ("cpu", BOTH, 16, 256, 8, INDEXING, 7.0),
]
FLAT = 1.10  # time per image at batch 64 over that at batch 8, at most
CUDA_GOAL_MS = 2.0  # of a batch of 32 at 256 px, C = 16: visibility, forward and backward


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


class Bench:
    """Collects rows; every cell gets `repeats` calls, or fewer once `budget_s` seconds are spent on it."""

    def __init__(self, repeats: int, budget_s: float, largest_reference: int) -> None:
        self.repeats, self.budget_s, self.largest_reference = repeats, budget_s, largest_reference
        self.rows: list[dict] = []
        self.absent: dict[str, str] = {}

    def add(self, key: tuple, work, batch: int, few: bool = False) -> dict:
        """Measure one cell; a CPU makes `few` calls, without warming up, of what is slow and steady."""
        device = key[0]
        few = few and device == "cpu"
        limits = {"warm_up": 0, "fewest": 1} if few else {}
        return self.record(key, batch, seconds(work, device, 2 if few else self.repeats, self.budget_s, **limits))

    def record(self, key: tuple, batch: int, times: Times) -> dict:
        """Keep the times of a cell."""
        names = dict(zip(("device", "what", "method", "size", "channels"), key, strict=True))
        self.rows.append(names | {"batch": batch} | spread(times, batch))
        return self.rows[-1]

    def visibility(self, device: str, size: int, batches: list[int]) -> None:
        """Ours at every batch and the loop on one image, in turns; other references up to `largest_reference`."""
        meshes = {batch: bumpy_head(batch, device) for batch in batches}
        works: list[Callable[[], object]] = [partial(rasterize, *mesh, (size, size)) for mesh in meshes.values()]
        cells = [(OURS, batch) for batch in batches]
        if device == "cpu":
            works += [partial(rasterize_by_lists, *meshes[batch], (size, size)) for batch in batches]
            cells += [(LISTS, batch) for batch in batches]
            verts, triangles = bumpy_head(LARGEST_LOOP, device)
            works.append(partial(rasterize_by_loop, verts[0], triangles, (size, size)))
            cells.append((LOOP, LARGEST_LOOP))
        for (method, batch), times in zip(cells, self.in_turns(works, device), strict=True):
            self.record((device, VISIBILITY, method, size, None), batch, times)
        if device == "cpu":
            ids = rasterize(verts, triangles, (size, size)).triangle[0]
            looped = rasterize_by_loop(verts[0], triangles, (size, size))
            self.rows[-1]["differs"] = (ids != looped).double().mean().item()
        for batch in (b for b in batches if b <= self.largest_reference):
            whole = (*meshes[batch], (size, size))
            self.add(
                (device, VISIBILITY, VECTORISED, size, None), lambda w=whole: rasterize_vectorised(*w), batch, few=True
            )
            for name, make in PACKAGES.items():
                self.package(name, make, device, size, batch, whole)

    def in_turns(self, works: list[Callable[[], object]], device: str) -> list[Times]:
        """Measure cells that are compared with each other."""
        return in_turns(works, device, self.repeats, self.budget_s * len(works))

    def package(self, name: str, make, device: str, size: int, batch: int, arguments: tuple) -> None:
        """A package's rasteriser, or the reason why it is absent."""
        try:
            work = make(device)
        except ImportError as error:
            self.absent[f"{name} on {device}"] = str(error)
            return
        self.add((device, VISIBILITY, name, size, None), lambda: work(*arguments), batch, few=True)

    def interpolation(self, device: str, size: int, batches: list[int], channels: list[int]) -> None:
        """Forward alone, and forward with backward to a shared (V, C) table; ours and the reference in turns."""
        for batch in batches:
            verts, triangles = bumpy_head(batch, device)
            fragments = rasterize(verts, triangles, (size, size))
            methods: dict[str, Interpolate] = {OURS: interpolate}
            if batch <= self.largest_reference:
                methods[INDEXING] = interpolate_by_indexing
            for count in channels:
                values = torch.rand(verts.shape[1], count, device=device, requires_grad=True)
                weight = torch.rand(batch, count, size, size, device=device)
                mesh = (fragments, values, triangles)

                def both(function: Interpolate, mesh: tuple = mesh, weight: Tensor = weight) -> None:
                    mesh[1].grad = None
                    function(*mesh).backward(weight)

                @torch.no_grad()
                def forward(function: Interpolate, mesh: tuple = mesh) -> None:
                    function(*mesh)

                for what, work in ((FORWARD, forward), (BOTH, both)):
                    measured = self.in_turns([partial(work, function) for function in methods.values()], device)
                    for method, times in zip(methods, measured, strict=True):
                        self.record((device, what, method, size, count), batch, times)
                if device == "cuda":
                    self.everything(device, size, batch, values, weight, (verts, triangles))

    def everything(
        self, device: str, size: int, batch: int, values: Tensor, weight: Tensor, mesh: tuple[Tensor, Tensor]
    ) -> None:
        """One training step's share: visibility, forward and backward."""
        verts, triangles = mesh

        def work() -> None:
            values.grad = None
            fragments = rasterize(verts, triangles, (size, size))
            interpolate(fragments, values, triangles).backward(weight)

        self.add((device, ALL, OURS, size, values.shape[1]), work, batch)


def floor_ms(row: dict, bytes_per_s: float) -> float:
    """The least time per image: every input read once and every output written once, at the speed of a copy."""
    pixels, corners, vertices = row["size"] ** 2, 9940 * 3 * 8, 5041
    channels = row["channels"] or 0
    visibility = vertices * 12 + corners / row["batch"] + pixels * (8 + 12 + 4)
    forward = pixels * (8 + 12 + 4 * channels) + (corners + vertices * 4 * channels) / row["batch"]
    backward = forward  # the gradient of the map is read, that of the table written
    needed = {VISIBILITY: visibility, FORWARD: forward, BOTH: forward + backward, ALL: visibility + forward + backward}
    return 1000 * needed[row["what"]] / bytes_per_s


def ratios(rows: list[dict]) -> list[dict]:
    """Reference over ours wherever both were measured; the loop, measured on one image, against every batch."""
    found = []
    for slow in (r for r in rows if r["method"] != OURS):
        for ours in (r for r in rows if r["method"] == OURS):
            keys = ["device", "what", "size", "channels"] + ["batch"] * (slow["method"] != LOOP)
            if all(slow[k] == ours[k] for k in keys):
                names = {k: ours[k] for k in ("device", "what", "channels", "size", "batch")}
                by = clock(ours["device"])
                found.append(names | {"reference": slow["method"], "ratio": slow[by] / ours[by]})
    return found


def goals(rows: list[dict], found: list[dict], kept: dict[str, float]) -> list[dict]:
    """What the project asks of itself, and what was measured; None where this run has no such cell."""
    names = ("device", "what", "channels", "size", "batch", "reference")
    made = []
    for *key, least in GOALS:
        ratio = next((r["ratio"] for r in found if [r[n] for n in names] == key), None)
        made.append({"goal": f"{key[1]}, 256 px, batch 8: {key[-1]} over ours, at least {least:g}", "measured": ratio})
    for what, channels in ((VISIBILITY, None), (BOTH, 16)):
        by_batch = {
            r["batch"]: r["cpu_ms_per_image"]
            for r in rows
            if (r["device"], r["method"], r["what"], r["size"], r["channels"]) == ("cpu", OURS, what, 256, channels)
        }
        once = by_batch[64] / by_batch[8] if {8, 64} <= set(by_batch) else None
        goal = f"{what}, 256 px: batch 64 over batch 8, per image"
        made.append({"goal": f"{goal}, memory kept between calls (benchmarks/raster_flat.py), at most {FLAT:g}",
                     "measured": kept[what]})  # fmt: skip
        made.append({"goal": f"{goal}, memory from the system for each call", "measured": once})
    for r in rows:
        if (r["what"], r["size"], r["batch"], r["channels"]) == (ALL, 256, 32, 16):
            total = 32 * r["ms_per_image"]
            made.append({"goal": f"cuda: {ALL}, 32 meshes, C = 16, ms at most {CUDA_GOAL_MS:g}", "measured": total})
    return made


def markdown(report: dict) -> str:
    """The report as a page."""
    rows = report["rows"]
    lines = heading("Rasteriser", report)
    lines += [
        "Mesh: 5041 vertices, 9940 triangles. ms per image: median (quartiles) and best of the wall clock; CPU ms over",
        "all threads, which other load on the machine disturbs less. Ratio: reference over ours, by CPU ms (cuda: ms).",
        "",
    ]
    if "bandwidth" in report:
        speed = report["bandwidth"] / 1e9
        lines += [f"Floor: moving inputs and outputs once, at the {speed:.0f} GB/s of a plain copy on this GPU.", ""]
    lines += table(["goal", "measured"], [[g["goal"], ms(g["measured"])] for g in report["goals"]]) + [""]
    cells = []
    for r in rows:
        key = [r["device"], r["what"], r["channels"], r["size"], r["batch"], r["method"]]
        wall = f"{ms(r['ms_per_image'])} ({ms(r['q25'])} to {ms(r['q75'])})"
        cells.append([*key, wall, ms(r["best"]), ms(r["cpu_ms_per_image"]), ms(r.get("floor_ms_per_image"))])
    names = ["device", "what", "C", "size", "batch"]
    lines += table([*names, "method", "ms", "best", "CPU ms", "floor ms"], cells) + [""]
    lines += table(
        [*names, "reference", "ratio"],
        [
            [r["device"], r["what"], r["channels"], r["size"], r["batch"], r["reference"], f"{r['ratio']:.1f}"]
            for r in report["ratios"]
        ],
    )
    shares = ", ".join(f"{r['size']} px: {r['differs']:.2g}" for r in rows if "differs" in r)
    lines += [
        "",
        "Share of pixels where the loop, which does not snap vertices, names another triangle:",
        f"{shares}.",
        "",
    ]
    lines += [f"- {name}: {reason}" for name, reason in report["absent"].items()]
    return "\n".join(lines) + "\n"


def main(
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("reports/benchmarks"),
    size: Annotated[list[int], typer.Option(help="Side of the square frame in px.")] = [64, 256, 512],  # noqa: B006
    batch: Annotated[list[int], typer.Option(help="Images at once.")] = [1, 8, 32, 64],  # noqa: B006
    channels: Annotated[list[int], typer.Option(help="Attributes of a vertex.")] = [2, 3, 16],  # noqa: B006
    repeats: Annotated[int, typer.Option(min=1, help="Measured calls of each cell.")] = 7,
    budget_s: Annotated[float, typer.Option(help="Seconds of a cell, after which three calls are enough.")] = 1.0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of torch.")] = 2,
    largest_reference: Annotated[int, typer.Option(help="Largest batch of the references.")] = 8,
) -> None:
    """Measure on the CPU, and on CUDA where there is one."""
    torch.set_num_threads(threads)
    report = environment("benchmarks.raster", threads)
    bench = Bench(repeats, budget_s, largest_reference)
    for device in devices():
        for side in size:
            bench.visibility(device, side, batch)
            bench.interpolation(device, side, batch, channels)
    if "cuda" in devices():
        report["bandwidth"] = bandwidth("cuda")
        for row in (r for r in bench.rows if r["device"] == "cuda"):
            row["floor_ms_per_image"] = floor_ms(row, report["bandwidth"])
    found = ratios(bench.rows)
    report |= {
        "absent": bench.absent,
        "goals": goals(bench.rows, found, flat(threads, repeats)),
        "rows": bench.rows,
        "ratios": found,
    }
    write_json(out / "raster.json", report)
    write_text(out / "raster.md", markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    typer.run(main)
