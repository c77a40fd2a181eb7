"""Contact sheets and loss curves: what a row does, for the eye."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import nn

from model.atomic import written_aside
from model.frame.coords import tensor_to_frames
from model.pwm.animator import Animator
from model.pwm.config import GUIDANCE_PARTS
from pipeline.bench.generate import PairRunner
from pipeline.bench.pair_frames import PairFrames
from pipeline.bench.predictions import SavedFrames
from pipeline.report.pictures import (
    PANEL_PX,
    colour_codes,
    colour_nmfc,
    colour_wheel,
    principal_colours,
    save_png,
    sheet,
    wheel_key,
)
from pipeline.report.rows import Row

GUIDANCE_HEADERS = {"disp": "guidance: disp.", "codes": "guidance: codes", "nmfc": "guidance: NMFC"}


def chosen_pairs(pairs: PairFrames, per_task: int) -> np.ndarray:
    """Rows of pairs to show: `per_task` of each data set and task, evenly spread over the list."""
    rows = []
    for dataset in dict.fromkeys(pairs.dataset.tolist()):
        for task in ("same", "cross"):
            found = np.flatnonzero((pairs.dataset == dataset) & (pairs.task == task))
            count = min(per_task, len(found))
            rows += [int(found[(2 * i + 1) * len(found) // (2 * count)]) for i in range(count)]
    return np.array(rows, np.int64)


def contact_sheet(row: Row, runner: PairRunner, pairs: PairFrames, predictions: Path, out: Path) -> None:
    """Write the sheet of a published system: source, driving, what its network shows, output, ground truth.

    Args:
        row: the row.
        runner: its model and what drives it; what the network shows is computed again.
        pairs: the pairs to show.
        predictions: the row's saved frames, which are what was scored.
        out: the PNG to write.
    """
    shown = runner.animate(pairs, slice(None)).panels
    saved = SavedFrames(predictions, pairs.pair_id.tolist(), pairs.size_hw)[np.arange(len(pairs))]
    panels = {caption: tensor_to_frames(img).cpu().numpy() for caption, img in shown.items()}
    lines = [
        _line(pairs, i, [pairs.source_u8[i], pairs.driving_u8[i], *(p[i] for p in panels.values()), saved[i]])
        for i in range(len(pairs))
    ]
    headers = ["source", "driving", *panels, "output", "ground truth"]
    save_png(sheet(f"{row.label}   ({row.key})", headers, lines), out)


def _line(pairs: PairFrames, i: int, panels: list[np.ndarray | None]) -> tuple[str, list[np.ndarray | None]]:
    """A pair's name and panels, with the ground truth where there is one."""
    truth = pairs.driving_u8[i] if pairs.task[i] == "same" else None
    return f"{pairs.dataset[i]}\n{pairs.task[i]} identity", [*panels, truth]


def pwm_sheet(row: Row, runner: PairRunner, pairs: PairFrames, predictions: Path, out: Path, seeds: int = 1) -> None:
    """Write a PWM row's: source, driving, guidance, displacement, warped source, output, ground truth (same identity).

    Args:
        row: the row.
        runner: its model and fits; guidance and displacement are computed again.
        pairs: the pairs to show.
        predictions: the row's saved frames, which are what was scored.
        out: the PNG to write.
        seeds: how many seeds the row was trained with; the sheet shows the first, and says so where there are more.
    """
    made = runner.animate(pairs, slice(None)).own
    saved = SavedFrames(predictions, pairs.pair_id.tolist(), pairs.size_hw)[np.arange(len(pairs))]
    guides = guidance_panels(row.guidance, made.guide.cpu().numpy(), runner.model.network)
    disp = made.disps[-1].cpu().numpy()
    scale = float(np.quantile(np.hypot(disp[:, 0], disp[:, 1]), 0.99))
    warped = (made.warped.cpu().numpy().transpose(0, 2, 3, 1) * 255).round().astype(np.uint8)
    headers = ["source", "driving", *guides, "displacement", "warped source", "output", "ground truth"]
    lines = []
    for i in range(len(pairs)):
        panels = [pairs.source_u8[i], pairs.driving_u8[i], *(maps[i] for maps in guides.values())]
        lines.append(_line(pairs, i, [*panels, colour_wheel(disp[i], scale), warped[i], saved[i]]))
    title = f"{row.label}   ({row.key}; full colour at a displacement of {scale / 2:.0%} of the frame){of_first(seeds)}"
    key: list[np.ndarray | None] = [None] * len(headers)
    key[headers.index("displacement")] = wheel_key(PANEL_PX)
    save_png(sheet(title, headers, [*lines, ("direction of\np_src - p_tgt", key)]), out)


def guidance_panels(guidance: str, guide: np.ndarray, network: nn.Module) -> dict[str, np.ndarray]:
    """Colour each part of a guidance map (B, C, H, W) of a PWM network: header -> (B, H, W, 3) uint8."""
    panels, used = {}, 0
    for part in GUIDANCE_PARTS[guidance]:
        if part == "disp":
            maps, used = guide[:, :2], 2
            scale = float(np.quantile(np.hypot(maps[:, 0], maps[:, 1]), 0.99)) or 1.0
            coloured = [colour_wheel(one, scale) for one in maps]
        elif part == "nmfc":
            coloured = [colour_nmfc(one) for one in guide[:, used:]]
        else:
            assert isinstance(network, Animator)  # a PWM row's
            codes = network.guidance.codes
            assert codes is not None  # a row with this part has them
            colours = principal_colours(codes.detach().cpu().numpy())
            coloured = [colour_codes(one, *colours) for one in guide[:, used:]]
        panels[GUIDANCE_HEADERS[part]] = np.stack(coloured)
    return panels


def of_first(seeds: int) -> str:
    """What a title adds where more seeds were trained than are shown."""
    return f"; first of {seeds} seeds" if seeds > 1 else ""


def loss_curves(curves: Mapping[str, Path], out: Path, seeds: int = 1) -> None:
    """Plot generator and discriminator losses of all rows from their first seed's `curve.csv` (label -> file)."""
    from matplotlib.figure import Figure  # without pyplot, which looks for a screen and starts a second later

    figure = Figure(figsize=(11, 4), layout="constrained")
    axes = figure.subplots(1, 2)
    for label, file in curves.items():
        with file.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        steps = [float(r["step"]) for r in rows]
        for axis, name in zip(axes, ("generator", "discriminator"), strict=True):
            axis.plot(steps, _smoothed([float(r[name]) for r in rows]), label=label, linewidth=1.2)
            axis.set(xlabel="step", title=f"{name} loss{of_first(seeds)}")
            axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    with written_aside(out) as partial:
        figure.savefig(partial, format="png", dpi=110, metadata={"Software": None})


def _smoothed(values: Sequence[float]) -> np.ndarray:
    """Running mean over a fiftieth of the curve, shorter at its ends."""
    width = max(1, len(values) // 50)
    ones = np.ones(width)
    return np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same")
