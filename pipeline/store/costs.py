"""What a trained row costs: numbers that stand beside its scores and decide on none of them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pipeline.store.provenance import write_json


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Costs of a row; None where nobody knows.

    Attributes:
        parameters: numbers that the network holds, trained or not; its rivals are not counted.
        step_gflop: of one step of training, all pairs of the batch and all players, forward and backward.
        frame_gflop: of one frame.
        step_s: seconds of one step, in all processes together, while the row was trained: the median over the run.
        frame_s: seconds of one frame, network alone, in a batch of `frame_batch`, on the machine that trained it.
        frame_batch: pairs of that batch.
        processes: that shared each batch.
        device: kind of the device of both times.
    """

    parameters: int
    step_gflop: float | None = None
    frame_gflop: float | None = None
    step_s: float | None = None
    frame_s: float | None = None
    frame_batch: int | None = None
    processes: int | None = None
    device: str | None = None


def write_costs(path: Path, costs: Costs | None) -> None:
    """Write a row's costs; None says that it was not trained here."""
    write_json(path, {} if costs is None else asdict(costs))


def read_costs(path: Path) -> Costs | None:
    """Read what `write_costs` wrote; None where there is no such file, or the row was not trained here."""
    stored: Mapping[str, object] = json.loads(path.read_text()) if path.is_file() else {}
    known = {field.name for field in fields(Costs)}
    return Costs(**{name: value for name, value in stored.items() if name in known}) if stored else None  # type: ignore[arg-type]
