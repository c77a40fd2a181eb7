"""How good the fits are: statuses, residuals and, where the truth is known, errors against it."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch

from model.frame.coords import apply_affine, ndc_to_px
from model.heads.head import HeadModel
from model.trackers.landmark_head import LandmarkHead
from pipeline.store.clips import FOLDERS, ClipStore, from_video_ndc
from pipeline.store.columns import column_array
from pipeline.store.fits import ANGLES, FitTable
from pipeline.store.provenance import write_json, write_text
from pipeline.store.schema import metadata_of, read_table
from pipeline.trackers.protocol import OK, place_landmarks

TEST = "test"


def write_fit_report(
    path: Path, head: HeadModel, fits: Path, clips: Path, folders: Mapping[str, Path]
) -> dict[str, Any]:
    """Write the report as JSON at `path` and as a Markdown page beside it; returns what the JSON holds.

    Truth is `<data set's folder>/truth/<head>.parquet`: a fits table whose `clip` is the video's id,
    whose `frame` is the video's frame number, and whose frame is the whole video's ndc.

    Args:
        path: ends in `.json`.
        head: the fitted head.
        fits: folder of the fits, train.parquet and eval.parquet.
        clips: folder of the packed clips.
        folders: where each data set's files lie, by the data set's name.
    """
    groups, errors = [], []
    for split, folder in FOLDERS.items():
        store, table = ClipStore(clips / folder), fits / f"{folder}.parquet"
        for dataset in sorted(set(store.index.column("dataset").to_pylist())):
            truth = folders[dataset] / "truth" / f"{head.name}.parquet"
            group = _group(table, store, dataset)
            error = _errors(head, table, truth, store, dataset) if truth.exists() else None
            groups.append({"dataset": dataset, "split": split, **group, "errors": error and _mean([error])})
            if split == TEST and error is not None:
                errors.append(error)
    floor = _mean(errors)
    facts = metadata_of(read_table(fits / f"{FOLDERS[TEST]}.parquet", columns=["frame"]))
    report = {
        "head": head.name,
        "head_sha256": head.sha256,
        "tracker": facts["tracker"],
        "weights_sha256": facts["weights_sha256"],
        "groups": groups,
        "noise_floor": None if floor is None else {"aed": floor["expression"], "apd_deg": floor["apd_deg"]},
    }
    write_json(path, report)
    write_text(path.with_suffix(".md"), _markdown(report))
    return report


Errors = dict[str, np.ndarray]  # name -> error of every frame


def _group(table: Path, store: ClipStore, dataset: str) -> dict[str, Any]:
    """Numbers of one data set and split; only the columns they need are read."""
    clips = store.index.filter(pc.equal(store.index["dataset"], dataset))
    rows = read_table(table, columns=["clip", "status", "residual"])
    rows = rows.filter(pc.is_in(rows["clip"], clips["clip"].combine_chunks()))
    residual = rows.filter(pc.equal(rows["status"], OK))["residual"].to_numpy()
    return {
        "people": len(clips["person"].unique()),
        "clips": clips.num_rows,
        "frames": rows.num_rows,
        "status": dict(sorted(Counter(rows["status"].to_pylist()).items())),
        "residual_median": _number(np.median, residual),
        "residual_p95": _number(lambda r: np.quantile(r, 0.95), residual),
    }


def _errors(head: HeadModel, table: Path, truth_table: Path, store: ClipStore, dataset: str) -> Errors:
    """Errors of all good rows of a data set's clips against the truth."""
    clips = [row for row in store.index.to_pylist() if row["dataset"] == dataset]
    beside = ("landmarks", *ANGLES)
    fits = FitTable.read(table, head, clips={clip["clip"] for clip in clips}, beside=beside)
    truth = FitTable.read(truth_table, head, clips={clip["video"] for clip in clips}, beside=beside)
    rows, true_rows, video_to_clip = [], [], []
    for clip in clips:
        size = clip["source_width"], clip["source_height"]
        for i, number in enumerate(clip["frame_index"]):
            if fits.ok(clip["clip"], i):
                rows.append(fits.row(clip["clip"], i))
                true_rows.append(truth.row(clip["video"], number))
                video_to_clip.append(from_video_ndc(clip["crop_map"], size))
    size_hw = store.frame(clips[0]["clip"], 0).shape[:2]
    maps = torch.tensor(np.array(video_to_clip).reshape(-1, 6))
    true_landmarks = _landmarks(truth, true_rows)
    true_px = ndc_to_px(apply_affine(maps, true_landmarks), size_hw)
    fit, true_fit = fits.head_fit(rows), truth.head_fit(true_rows)
    placed_px = ndc_to_px(place_landmarks(LandmarkHead(head, ("root",)), fit), size_hw)
    seen_px = ndc_to_px(_landmarks(fits, rows), size_hw)
    turn = np.abs(fits.angles_deg(rows) - truth.angles_deg(true_rows))
    angles = np.minimum(turn, 360.0 - turn)
    return {
        "landmarks_px": (seen_px - true_px).norm(dim=-1).mean(1).numpy(),
        "head_landmarks_px": (placed_px - true_px).norm(dim=-1).mean(1).numpy(),
        "yaw_deg": angles[:, 0],
        "pitch_deg": angles[:, 1],
        "roll_deg": angles[:, 2],
        "apd_deg": angles.mean(1),
        "shape": (fit.shape - true_fit.shape).abs().mean(1).numpy(),
        "expression": (fit.expression - true_fit.expression).abs().mean(1).numpy(),
    }


def _landmarks(fits: FitTable, rows: list[int]) -> torch.Tensor:
    """The seen landmarks of rows, (N, 68, 2) float64 in the table's frame."""
    return torch.from_numpy(column_array(fits.table, "landmarks")[rows]).double().unflatten(1, (68, 2))


def _mean(errors: list[Errors]) -> dict[str, float] | None:
    if not errors or not sum(len(e["yaw_deg"]) for e in errors):
        return None
    return {name: float(np.concatenate([e[name] for e in errors]).mean()) for name in errors[0]}


def _number(reduce: Any, values: np.ndarray) -> float | None:
    return float(reduce(values)) if len(values) else None


_ERROR_COLUMNS = {
    "landmarks_px": "seen landmarks, px", "head_landmarks_px": "head's landmarks, px", "yaw_deg": "yaw",
    "pitch_deg": "pitch", "roll_deg": "roll", "shape": "shape code", "expression": "expression code",
}  # fmt: skip


def _markdown(report: dict[str, Any]) -> str:
    lines = [
        f"# Fits of head `{report['head']}` by `{report['tracker']}`",
        "",
        "Residual: rms distance of the 51 landmarks off the contour, in outer-eye distances of a frontal view.",
        "",
        "| data set | split | people | clips | frames | statuses | residual median | residual p95 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for group in report["groups"]:
        statuses = ", ".join(f"{count} {status}" for status, count in group["status"].items())
        cells = [group[k] for k in ("dataset", "split", "people", "clips", "frames")]
        cells += [statuses, _cell(group["residual_median"]), _cell(group["residual_p95"])]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    known = [group for group in report["groups"] if group["errors"]]
    if known:
        lines += ["", "Mean absolute errors against the truth (landmarks: mean distance; angles in degrees):", ""]
        lines.append("| data set | split | " + " | ".join(_ERROR_COLUMNS.values()) + " |")
        lines.append("| --- " * (2 + len(_ERROR_COLUMNS)) + "|")
        for group in known:
            cells = [group["dataset"], group["split"], *(_cell(group["errors"][name]) for name in _ERROR_COLUMNS)]
            lines.append("| " + " | ".join(cells) + " |")
        if floor := report["noise_floor"]:
            lines += ["", f"Noise floor on test frames: AED {floor['aed']:.3f}, APD {floor['apd_deg']:.3f} degrees."]
    else:
        lines += ["", "No truth to compare with."]
    return "\n".join(lines) + "\n"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
