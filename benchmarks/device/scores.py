"""How a reference run does on people whom it has not seen: a few pairs of the packed set's test clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.device.settings import HEAD, SECOND
from benchmarks.device.training import Place, Trained
from model.frame.coords import frames_to_tensor, tensor_to_frames
from model.heads.head import load_head
from model.puppet_nets.judge import PuppetJudge, load_judge
from pipeline.bench.pairs import draw_pairs
from pipeline.methods.views import LANDMARKS, ClipView
from pipeline.metrics.l1 import AbsoluteError
from pipeline.metrics.psnr import PeakSignalToNoise
from pipeline.metrics.ssim import WINDOW, ssim_map
from pipeline.params.data import PairParams
from pipeline.store.clips import ClipStore
from pipeline.store.fits import FitTable
from pipeline.store.provenance import ROOT
from pipeline.store.schema import read_table

JUDGE = ROOT / "pipeline" / "puppets" / "assets" / "judge.safetensors"
PAIRS = PairParams(seed=1, per_person=8)  # of each task
SHOWN = {"same": 4, "cross": 2}  # pairs of the contact sheet
Pair = dict[str, Any]


@dataclass(frozen=True)
class Scored:
    """What came of it.

    Attributes:
        values: metric -> mean over its pairs.
        pairs: task -> how many.
        sheet: (pairs, H, W, 3) uint8 frames that the contact sheet shows.
    """

    values: dict[str, float]
    pairs: dict[str, int]
    sheet: np.ndarray


class Bench:
    """The test pairs of a packed set."""

    def __init__(self, place: Place) -> None:
        self._store = ClipStore(place.packed / "clips" / "eval")
        self._tables: dict[tuple[str, bool], FitTable] = {}
        self._packed, self._device = place.packed, place.device
        paths = [self._path(head) for head in (HEAD, SECOND)]
        drawn, _ = draw_pairs(self._store.index, [read_table(path) for path in paths], PAIRS)
        self._pairs = {task: [row for row in drawn.to_pylist() if row["task"] == task] for task in ("same", "cross")}
        if not self._pairs["same"]:
            raise ValueError(f"{place.packed}: no test clip has two frames with an ok fit")

    def frames(self, pairs: Sequence[Pair], side: str) -> np.ndarray:
        """The `source` or `driving` frames of pairs, (N, H, W, 3) uint8."""
        return np.stack([self._store.frame(pair[f"{side}_clip"], pair[f"{side}_frame"]) for pair in pairs])

    def shown(self) -> list[Pair]:
        """Pairs of the contact sheet."""
        return [pair for task, count in SHOWN.items() for pair in self._pairs[task][:count]]

    def sides(self) -> np.ndarray:
        """What the sheet shows beside the runs: (2, pairs, H, W, 3) source and driving frames."""
        return np.stack([self.frames(self.shown(), side) for side in ("source", "driving")])

    def score(self, trained: Trained) -> Scored:
        """Animate all pairs and measure; the network is left in its state for inference."""
        judge = load_judge(JUDGE).to(self._device)
        trained.network.eval()
        same, cross = self._pairs["same"], self._pairs["cross"]
        made, target = self._animate(trained, same), self.frames(same, "driving")
        values = {
            "L1": AbsoluteError(None).compare(made, target).mean(),  # type: ignore[arg-type]
            "PSNR": PeakSignalToNoise(None).compare(made, target).mean(),  # type: ignore[arg-type]
            "landmarks px": self._apart_px(judge, made, target),
        }
        if min(made.shape[1:3]) >= WINDOW:
            values["SSIM"] = np.mean([ssim_map(a / 255, b / 255).mean() for a, b in zip(made, target, strict=True)])
        if cross:
            other = self._animate(trained, cross)
            values["CSIM"] = self._alike(judge, other, self.frames(cross, "source"))
        sheet = [*made[: SHOWN["same"]], *(other[: SHOWN["cross"]] if cross else ())]
        return Scored(
            {name: float(value) for name, value in values.items()},
            {task: len(pairs) for task, pairs in self._pairs.items()},
            np.stack(sheet),
        )

    @torch.inference_mode()
    def _animate(self, trained: Trained, pairs: Sequence[Pair], batch: int = 16) -> np.ndarray:
        parts = []
        for first in range(0, len(pairs), batch):
            some = pairs[first : first + batch]
            source, driving = (self._view(some, side, trained) for side in ("source", "driving"))
            alike = torch.tensor([pair["task"] == "same" for pair in some], device=self._device)
            driven = trained.adapter.drive(source, driving, alike)
            parts.append(tensor_to_frames(trained.network(driven.source, driven.signals).image.float()).cpu())
        return torch.cat(parts).numpy()

    def _path(self, head: str) -> Path:
        return self._packed / "fits" / head / "eval.parquet"

    def _table(self, trained: Trained) -> FitTable | None:
        """The fits that a run's adapter reads."""
        if not trained.adapter.table:
            return None
        key = trained.head, trained.adapter.table == "landmarks"
        if key not in self._tables:
            head = load_head(self._packed / "heads" / f"{trained.head}.npz")
            self._tables[key] = FitTable.read(self._path(trained.head), head, beside=[LANDMARKS] if key[1] else [])
        return self._tables[key]

    def _view(self, pairs: Sequence[Pair], side: str, trained: Trained) -> ClipView:
        frames = self.frames(pairs, side)
        clips, numbers = (np.array([pair[f"{side}_{what}"] for pair in pairs]) for what in ("clip", "frame"))
        height, width = frames.shape[1:3]
        return ClipView(lambda: frames, (height, width), clips, numbers, self._table(trained), self._device)

    def _images(self, frames_u8: np.ndarray) -> torch.Tensor:
        return frames_to_tensor(torch.from_numpy(frames_u8)).to(self._device)

    @torch.inference_mode()
    def _apart_px(self, judge: PuppetJudge, made: np.ndarray, target: np.ndarray) -> float:
        marks = [judge.landmarks(self._images(frames)) for frames in (made, target)]
        half = torch.tensor([made.shape[2] / 2, made.shape[1] / 2], device=self._device)
        return float(((marks[0] - marks[1]) * half).norm(dim=-1).mean())

    @torch.inference_mode()
    def _alike(self, judge: PuppetJudge, made: np.ndarray, source: np.ndarray) -> float:
        return float((judge.embed(self._images(made)) * judge.embed(self._images(source))).sum(1).mean())
