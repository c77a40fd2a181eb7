"""One reference run: trained some steps on, from wherever it was left, until its goal or the end of the time."""

import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from benchmarks.device.settings import Run, of_run
from model.heads.head import load_head
from model.training.compiled import compile_parts
from model.training.loop import Losses, train
from model.training.perceptual import Perceptual
from model.training.resume import CheckpointStore
from pipeline.methods.protocol import Adapter
from pipeline.methods.registry import adapter_module, adapter_named
from pipeline.methods.teaching import teacher_module, teacher_named
from pipeline.params.tree import Params
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_file, sha256_text
from pipeline.training.configs import train_config
from pipeline.training.dataset import PairDataset
from pipeline.training.drawing import Drawing
from pipeline.training.inputs import TrainInputs
from pipeline.training.loader import batches_ahead
from pipeline.training.row import compiles
from pipeline.training.run import load_backbone


@dataclass(frozen=True)
class Trained:
    """A run as it stands.

    Attributes:
        step: how many iterations it has had.
        network: what was trained, in training mode.
        adapter: what drives it.
        head: name of the head whose fits it is trained with.
        curve: its losses so far, as `model.training.loop.train` returns them.
    """

    step: int
    network: nn.Module
    adapter: Adapter
    head: str
    curve: list[Losses]


@dataclass(frozen=True)
class Place:
    """Where the reference runs work.

    Attributes:
        packed: the packed set (benchmarks/device/pack.py).
        work: folder of states and results, kept between calls.
        device: where to train.
        every: iterations of a turn, after which a run is scored.
    """

    packed: Path
    work: Path
    device: torch.device
    every: int

    def inputs(self, params: Params, run: Run) -> TrainInputs:
        """What of the packed set a run is trained from, where the graph keeps such files in its own."""
        return TrainInputs.of(self.packed, run.head(params))

    def states(self, params: Params, run: Run) -> Path:
        """Folder of a run's state, for these settings, turns, data and code: with any other it starts anew."""
        recipe, section = of_run(params, run)
        made_from = recipe.model_dump(mode="json", exclude={"iterations"}), section.model_dump(mode="json")
        data = [sha256_file(path) for path in sorted(self.packed.rglob("*.parquet"))]
        code = code_sha256("pipeline.training.run", adapter_module(run.method), teacher_module(run.method))
        key = sha256_text(run.name, made_from, self.every, data, self.device.type, code)[:12]
        return self.work / "states" / f"{run.folder}.{key}"


def train_to(goal: int, until: float, params: Params, run: Run, place: Place) -> Trained:
    """Train a run up to `goal` iterations, or as far as it gets until a moment of `time.monotonic`."""
    recipe, section = of_run(params, run)
    inputs, teacher, adapter_kind = place.inputs(params, run), teacher_named(run.method), adapter_named(run.method)
    assert teacher is not None  # as it has a section
    head, landmarks = load_head(inputs.head), adapter_kind.table == "landmarks"
    labels = inputs.parts if section.needs_parts else None
    data = PairDataset(inputs.clips, inputs.fits, head, landmarks=landmarks, parts=labels)
    torch.manual_seed(recipe.seed)
    made = teacher.build(recipe, section, run.guidance, head)
    judged_by = section.perceptual
    perceptual = Perceptual(load_backbone(judged_by), judged_by.blocks, section.losses.perceptual_scales)
    lesson, adapter = teacher.lesson(made, section, perceptual), adapter_kind(made, head)
    drawing = Drawing(data, adapter, teacher, head, recipe)
    if compiles(True, place.device):
        compile_parts(lesson)

    step = [goal]

    def report(done: int, _losses: Losses) -> None:
        step[0] = done
        if done < goal and time.monotonic() >= until:
            os.kill(os.getpid(), signal.SIGTERM)  # training stores its state and ends, as for any launcher

    config = replace(train_config(recipe, section), iterations=goal)
    store = CheckpointStore(place.states(params, run))
    with batches_ahead(drawing.batch, goal, place.device) as batch_at:
        try:
            curve = train(lesson, batch_at, config, place.device, store, report)
        except SystemExit:  # it was asked to stop, which may have been with its last steps
            curve = (store.load() or {"curve": []})["curve"]
    return Trained(step[0], made, adapter, head.name, curve)
