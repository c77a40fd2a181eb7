"""What is kept of the reference runs: a table, curves and a contact sheet, small enough for git."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.device.machine import described
from benchmarks.device.settings import Run
from benchmarks.timing import table
from pipeline.store.provenance import write_json, write_text

BETTER = {"L1": "low", "PSNR": "high", "SSIM": "high", "landmarks px": "low", "CSIM": "high"}
CURVE_ROWS = 200  # of each run
TILE_PX, QUALITY = 160, 88
Turns = Mapping[int, dict]  # iteration -> what was measured there


def write_pages(
    out: Path,
    runs: Sequence[Run],
    found: Mapping[Run, Turns],
    sides: np.ndarray,
    sheets: Mapping[int, Sequence[np.ndarray]],
    command: str,
) -> None:
    """Write `table.{json,md}`, `curves.csv` and, where a table counts, `sheet.jpg`.

    A table counts where all its rows have had equally many iterations: it is of the last such number.

    Args:
        out: folder.
        runs: rows, in the table's order.
        found: what each run's turns measured.
        sides: (2, pairs, H, W, 3) uint8 source and driving frames of the sheet.
        sheets: iteration that all runs have -> each run's frames.
        command: what was called.
    """
    machine = described()
    at = max(sheets, default=None)
    reached = {run.name: max(found[run], default=0) for run in runs}
    rows = {run.name: found[run][at] for run in runs} if at else {}
    report = {
        "command": command,
        "machine": machine,
        "iterations": at,
        "reached": reached,
        "rows": {name: {"values": row["values"], "pairs": row["pairs"]} for name, row in rows.items()},
    }
    write_json(out / "table.json", report)
    write_text(out / "table.md", "\n".join(_page(report)) + "\n")
    write_text(out / "curves.csv", curves({run.name: found[run] for run in runs}))
    if at:
        write_sheet(out / "sheet.jpg", [*sides, *sheets[at]])


def _page(report: dict) -> list[str]:
    machine, rows = report["machine"], report["rows"]
    lines = [
        "# Reference runs",
        "",
        f"`{report['command']}`",
        "",
        f"{machine['gpu'] or machine['cpu']}; torch {machine['versions']['torch']}, CUDA {machine['cuda']}, "
        f"commit {machine['commit']}.",
        "",
    ]
    if not rows:
        reached = ", ".join(f"{name} {steps}" for name, steps in report["reached"].items())
        return [*lines, f"No table yet: its rows have had unequal numbers of iterations ({reached})."]
    first = next(iter(rows.values()))
    names = [name for name in BETTER if name in first["values"]]
    pairs = ", ".join(f"{count} {task}" for task, count in first["pairs"].items())
    body = [[name, *(f"{row['values'][metric]:.4g}" for metric in names)] for name, row in rows.items()]
    return [
        *lines,
        f"All rows after {report['iterations']} iterations, on held-out puppets ({pairs} pairs; CSIM is of the cross).",
        "",
        *table(["run", *(f"{name} ({BETTER[name]})" for name in names)], body),
        "",
        "Columns of `sheet.jpg`: source, driving, then the runs in the table's order.",
    ]


def curves(found: Mapping[str, Turns]) -> str:
    """Losses of all runs as CSV: run, step, loss, value; at most `CURVE_ROWS` steps a run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "step", "loss", "value"])
    for name, turns in found.items():
        whole = turns[max(turns)]["curve"] if turns else []  # each turn's curve begins at the start
        thin = whole[:: -(-len(whole) // CURVE_ROWS)] if whole else []
        writer.writerows(
            [name, f"{row['step']:.0f}", loss, f"{value:.5g}"]
            for row in thin
            for loss, value in row.items()
            if loss != "step"
        )
    return text.getvalue()


def write_sheet(path: Path, columns: Sequence[np.ndarray]) -> None:
    """Write frames side by side, a row a pair: columns of (pairs, H, W, 3) uint8."""
    sheet = np.concatenate([np.concatenate([_tile(frame) for frame in column]) for column in columns], 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done
    path.write_bytes(data.tobytes())


def _tile(frame: np.ndarray) -> np.ndarray:
    side = min(TILE_PX, frame.shape[0])
    return frame if side == frame.shape[0] else cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA)
