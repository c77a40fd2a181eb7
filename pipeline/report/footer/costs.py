"""What trained rows cost: a line below the tables, and a file beside scores.csv."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.params.recipe import Recipe
from pipeline.report.rows import Row
from pipeline.report.tables import DASH, csv_text, plain
from pipeline.store.costs import Costs, read_costs

COLUMNS = (
    "parameters", "step_gflop", "frame_gflop", "step_s", "frame_s", "frame_batch", "processes", "device",
)  # fmt: skip


def costs_of(rows: Sequence[Row], folder: Path) -> dict[str, tuple[Row, Costs]]:
    """Costs of the rows that were trained here, by their keys, as the stages `train` and `baseline` measured them."""
    found = {}
    for row in rows:
        costs = read_costs(folder / f"{row.system or row.key}.json") if row.trained_here else None
        if costs is not None:
            found[row.key] = row, costs
    return found


def cost_lines(found: Mapping[str, tuple[Row, Costs]], recipes: Mapping[str, Recipe]) -> list[str]:
    """The budget that rows of one recipe share, and what each made of it."""
    lines = []
    names = dict.fromkeys(row.recipe or row.source for row, _ in found.values())
    for name in names:
        recipe, mine = recipes[name], [(r, c) for r, c in found.values() if (r.recipe or r.source) == name]
        shared = (
            f"Rows trained by recipe {name} share {recipe.iterations} iterations of {recipe.batch_size} pairs of "
            f"{recipe.image_px} px, the sequence of pairs (seed {recipe.seed}) and the augmentation"
        )
        each = "; ".join(f"{row.label} {_said(costs)}" for row, costs in mine)
        lines.append(
            f"{shared}. Parameters | GFLOP of a step, of a frame | seconds of a step while it trained, of a frame "
            f"(more in costs.csv): {each}."
        )
    return lines


def costs_csv(found: Mapping[str, tuple[Row, Costs]]) -> str:
    """A line a trained row; empty where nobody knows. Columns as of `pipeline.store.costs.Costs`."""
    lines: list[Sequence[str]] = [["method", "row", *COLUMNS]]
    for row, costs in found.values():
        lines.append([row.label, row.key, *(_plain(getattr(costs, name)) for name in COLUMNS)])
    return csv_text(lines)


def _said(costs: Costs) -> str:
    operations = f"{_short(costs.step_gflop)}, {_short(costs.frame_gflop)}"
    return f"{costs.parameters / 1e6:.2f} M | {operations} | {_short(costs.step_s)}, {_short(costs.frame_s)}"


def _short(value: float | None) -> str:
    return DASH if value is None else f"{value:.2g}"


def _plain(value: float | int | str | None) -> str:
    if isinstance(value, float):
        return plain(value)
    return "" if value is None else str(value)
