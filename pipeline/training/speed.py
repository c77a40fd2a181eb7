"""How fast a run is and where its time goes: a table beside its states, which no result depends on."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from pipeline.training.growing import GrowingTable, rows_until

SPEED = "speed.csv"
MIB = 1 << 20


class SpeedLog:
    """Writes a row every so many steps; but for memory, its numbers are of the time since the row before.

    Columns: `step`; `images_per_s` of the whole team; `data_wait_share`, which part of the time was spent waiting for
    batches; `gpu_memory_mib`, the most that tensors took at once so far, nothing on a CPU; then what else is given.

    Args:
        path: the file; a run that is resumed goes on in it.
        batch_size: images a step.
        device: where training is.
        waited: seconds that have been spent waiting for batches.
        clock: seconds.
    """

    def __init__(
        self,
        path: Path,
        batch_size: int,
        device: torch.device,
        waited: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = GrowingTable(path)
        self._batch_size, self._device, self._waited, self._clock = batch_size, device, waited, clock
        self._mark = 0, 0.0, 0.0

    def begin(self, step: int) -> None:
        """Go on behind a step: rows beyond it are of work that is done again."""
        self._table.begin(rows_until(self._table.path, step))
        self._mark = step, self._clock(), self._waited()

    def add(self, step: int, more: Mapping[str, float]) -> None:
        """Write the row of a step."""
        before, began, had_waited = self._mark
        now, waited = self._clock(), self._waited()
        seconds = max(now - began, 1e-9)
        self._table.add(
            {
                "step": step,
                "images_per_s": (step - before) * self._batch_size / seconds,
                "data_wait_share": (waited - had_waited) / seconds,
                "gpu_memory_mib": self._peak_mib(),
                **more,
            }
        )
        self._mark = step, now, waited

    def _peak_mib(self) -> float | None:
        if self._device.type != "cuda":
            return None
        return torch.cuda.max_memory_allocated(self._device) / MIB
