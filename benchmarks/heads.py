"""Time skinning heads of FLAME's size, beside the smplx package's `lbs` on the same random model and batch.

`python -m benchmarks.heads` writes reports/benchmarks/heads.{json,md}; it takes under half a minute. smplx is used
where it is installed and is no dependency of the project.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from benchmarks.timing import bandwidth, clock, devices, environment, heading, ms, seconds, spread, table
from model.heads.arrays import HeadArrays
from model.heads.head import HeadModel
from pipeline.store.provenance import write_json, write_text

OURS, SMPLX = "ours", "smplx.lbs"
FORWARD, BOTH = "forward", "forward + backward"
VERTICES, TRIANGLES, SHAPES, EXPRESSIONS, JOINTS = 5023, 9976, 100, 50, 5  # FLAME as DECA uses it
AGREEMENT = 1e-4  # of vertices in a head of size 1
CUDA_GOAL_MS = 1.0  # for 64 heads


def random_flame() -> HeadArrays:
    """Random numbers of FLAME's sizes: skinning costs the same whatever they are."""
    rng = np.random.default_rng(0)

    def normal(scale: float, *shape: int) -> np.ndarray:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    def shares(*shape: int) -> np.ndarray:
        values = rng.random(shape).astype(np.float32)
        return values / values.sum(-1, keepdims=True)

    return HeadArrays(
        name="random_flame",
        unit="m",
        template=normal(0.3, VERTICES, 3),
        triangles=rng.integers(0, VERTICES, (TRIANGLES, 3)).astype(np.int32),
        shape_basis=normal(0.01, SHAPES, VERTICES, 3),
        expression_basis=normal(0.01, EXPRESSIONS, VERTICES, 3),
        expression_names=np.array([str(i) for i in range(EXPRESSIONS)]),
        expression_low=np.full(EXPRESSIONS, -3, np.float32),
        expression_high=np.full(EXPRESSIONS, 3, np.float32),
        joint_names=np.array(["root", "neck", "jaw", "eye_left", "eye_right"]),
        joint_parents=np.array([-1, 0, 1, 1, 1], np.int32),
        joint_regressor=shares(JOINTS, VERTICES),
        skin_weights=shares(VERTICES, JOINTS),
        pose_basis=normal(0.001, 9 * (JOINTS - 1), VERTICES, 3),
        landmark_triangles=rng.integers(0, TRIANGLES, 68).astype(np.int32),
        landmark_barycentric=shares(68, 3),
        triangle_part=np.zeros(TRIANGLES, np.int32),
        part_names=np.array(["all"]),
        camera="scaled_orthographic",
        rotation="axis_angle",
    )


class SmplxHead:
    """The same head, skinned by smplx; raises ImportError where it is not installed."""

    def __init__(self, arrays: HeadArrays, device: str) -> None:
        from smplx.lbs import lbs

        self.lbs = lbs
        directions = np.concatenate([arrays.shape_basis, arrays.expression_basis]).transpose(1, 2, 0)
        self.template = torch.from_numpy(arrays.template).to(device)
        self.shape_directions = torch.from_numpy(np.ascontiguousarray(directions)).to(device)
        self.pose_directions = torch.from_numpy(arrays.pose_basis).flatten(1).to(device)
        self.regressor = torch.from_numpy(arrays.joint_regressor).to(device)
        self.parents = torch.from_numpy(arrays.joint_parents).long().to(device)
        self.weights = torch.from_numpy(arrays.skin_weights).to(device)

    def vertices(self, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        """Vertices (B, V, 3), as `HeadModel.vertices`."""
        return self.lbs(
            torch.cat([shape, expression], 1),
            pose,
            self.template,
            self.shape_directions,
            self.pose_directions,
            self.regressor,
            self.parents,
            self.weights,
        )[0]


def measure(device: str, batches: list[int], repeats: int, budget_s: float) -> tuple[list[dict], str]:
    """Rows of one device, and why smplx is absent ("" where it is not)."""
    arrays = random_flame()
    heads: dict[str, HeadModel | SmplxHead] = {OURS: HeadModel(arrays).to(device)}
    absent = ""
    try:
        heads[SMPLX] = SmplxHead(arrays, device)
    except ImportError as error:
        absent = str(error)
    rows = []
    for batch in batches:
        rng = torch.Generator().manual_seed(batch)
        codes = [
            (scale * torch.randn(batch, length, generator=rng)).to(device).requires_grad_()
            for scale, length in ((1.0, SHAPES), (1.0, EXPRESSIONS), (0.2, 3 * JOINTS))
        ]
        weight = torch.rand(batch, VERTICES, 3, device=device)
        made = {method: head.vertices(*codes).detach() for method, head in heads.items()}
        for method, head in heads.items():
            differs = (made[method] - made[OURS]).abs().max().item()
            if differs > AGREEMENT:
                raise ValueError(f"{method} and ours differ by {differs:.2g} m: they would not time the same work")

            @torch.no_grad()
            def forward(head=head, codes=codes) -> Tensor:
                return head.vertices(*codes)

            def both(head=head, codes=codes, weight=weight) -> None:
                torch.autograd.grad(head.vertices(*codes), codes, weight)

            for what, work in ((FORWARD, forward), (BOTH, both)):
                times = seconds(work, device, repeats, budget_s)
                names = {"device": device, "what": what, "method": method, "batch": batch, "differs_m": differs}
                rows.append(names | spread(times, batch))
    return rows, absent


def floor_ms(row: dict, bytes_per_s: float) -> float:
    """The least time per head: the model read once a batch, codes and vertices moved once, at the speed of a copy."""
    codes = SHAPES + EXPRESSIONS + 3 * JOINTS
    numbers = VERTICES * (3 * (1 + SHAPES + EXPRESSIONS + 9 * (JOINTS - 1)) + 2 * JOINTS)
    once = 4 * (numbers / row["batch"] + codes + 3 * VERTICES)
    return 1000 * (once if row["what"] == FORWARD else 2 * once) / bytes_per_s


def ratios(rows: list[dict]) -> list[dict]:
    """Smplx over ours."""
    by_key = {(r["device"], r["what"], r["batch"], r["method"]): r for r in rows}
    found = []
    for (device, what, batch, method), slow in by_key.items():
        if method == SMPLX:
            ours = by_key[device, what, batch, OURS]
            by = clock(device)
            found.append({"device": device, "what": what, "batch": batch, "ratio": slow[by] / ours[by]})
    return found


def goals(rows: list[dict], found: list[dict]) -> list[dict]:
    """What the project asks of itself, and what was measured; None where this run has no such cell."""
    asked = {"device": "cpu", "what": FORWARD, "batch": 64}
    ratio = next((r["ratio"] for r in found if asked.items() <= r.items()), None)
    asked = {"device": "cuda", "what": FORWARD, "batch": 64, "method": OURS}
    total = next((64 * r["ms_per_image"] for r in rows if asked.items() <= r.items()), None)
    return [
        {"goal": "cpu, 64 heads, forward: smplx over ours, at least 1", "measured": ratio},
        {"goal": f"cuda, 64 heads, forward: ms at most {CUDA_GOAL_MS:g}", "measured": total},
    ]


def markdown(report: dict) -> str:
    """The report as a page."""
    lines = heading("Skinning heads", report)
    lines += [
        f"A random head: {VERTICES} vertices, {SHAPES} + {EXPRESSIONS} directions, {JOINTS} joints, pose correctives.",
        "Backward: gradients of all codes. ms per head: median (quartiles) and best of the wall clock; CPU ms over all",
        "threads. Ratio: smplx over ours, by CPU ms (cuda: ms). Differs: largest distance of a vertex from ours, m.",
        "",
    ]
    if "bandwidth" in report:
        speed = report["bandwidth"] / 1e9
        lines += [f"Floor: moving model, codes and vertices once, at the {speed:.0f} GB/s of a plain copy.", ""]
    lines += table(["goal", "measured"], [[g["goal"], ms(g["measured"])] for g in report["goals"]]) + [""]
    cells = []
    for r in report["rows"]:
        wall = f"{ms(r['ms_per_image'])} ({ms(r['q25'])} to {ms(r['q75'])})"
        cells.append(
            [r["device"], r["what"], r["batch"], r["method"], wall, ms(r["best"]), ms(r["cpu_ms_per_image"])]
            + [ms(r.get("floor_ms_per_image")), f"{r['differs_m']:.1g}"]
        )
    if report["smplx_absent"]:
        cells.append(["-", "-", "-", SMPLX, *"----", report["smplx_absent"]])
    header = ["device", "what", "batch", "method", "ms", "best", "CPU ms", "floor ms", "differs"]
    lines += table(header, cells) + [""]
    kept = [[r["device"], r["what"], r["batch"], f"{r['ratio']:.2f}"] for r in report["ratios"]]
    return "\n".join(lines + table(["device", "what", "batch", "ratio"], kept)) + "\n"


def main(
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("reports/benchmarks"),
    batch: Annotated[list[int], typer.Option(help="Heads at once.")] = [1, 8, 32, 64],  # noqa: B006
    repeats: Annotated[int, typer.Option(min=1, help="Measured calls of each cell.")] = 15,
    budget_s: Annotated[float, typer.Option(help="Seconds of a cell, after which three calls are enough.")] = 1.0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of torch.")] = 2,
) -> None:
    """Measure on the CPU, and on CUDA where there is one."""
    torch.set_num_threads(threads)
    report = environment("benchmarks.heads", threads)
    rows: list[dict] = []
    for device in devices():
        more, report["smplx_absent"] = measure(device, batch, repeats, budget_s)
        rows += more
    if "cuda" in devices():
        report["bandwidth"] = bandwidth("cuda")
        for row in (r for r in rows if r["device"] == "cuda"):
            row["floor_ms_per_image"] = floor_ms(row, report["bandwidth"])
    found = ratios(rows)
    report |= {"goals": goals(rows, found), "rows": rows, "ratios": found}
    write_json(out / "heads.json", report)
    write_text(out / "heads.md", markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    typer.run(main)
