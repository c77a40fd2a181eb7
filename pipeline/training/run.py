"""One training: data, networks and checkpoints as the parameters say, around `model.training.loop.train`."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, cast

import torch

from model.heads.head import HeadModel, load_head
from model.instruments.efficientnet_lite0 import load_efficientnet_lite0
from model.puppet_nets.tracker import load_tracker
from model.training.compiled import compile_parts, failed_to_compile
from model.training.loop import Losses, TrainingDiverged, train
from model.training.perceptual import Perceptual, Vgg19
from model.training.replicas import Replicas
from model.training.resume import CheckpointStore, step_of
from model.training.shared_norm import share_statistics
from pipeline.methods.registry import adapter_module, adapter_named
from pipeline.methods.teaching import teacher_module, teacher_named
from pipeline.params.recipe import Recipe
from pipeline.params.sections.base import PerceptualSection, Section
from pipeline.store.assets import asset_meant, hash_of, require
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_file, sha256_text
from pipeline.store.scratch_root import scratch_dir, scratch_place
from pipeline.training.configs import train_config
from pipeline.training.dataset import PairDataset
from pipeline.training.drawing import Drawing
from pipeline.training.inputs import TrainInputs
from pipeline.training.loader import batches_ahead
from pipeline.training.underway import Observe, TimedBatches, Underway

KIND = "train"  # of scratch folders
SAMPLE = 4  # training pairs that observers are shown
Statistics = Literal["share", "batch"]  # what BatchNorm normalises by in a team: each process's pairs, or all


def follow_run(
    team: Replicas,
    row: str,
    guidance: str,
    recipe: Recipe,
    network: Section,
    inputs: TrainInputs,
    device: torch.device,
    method: str,
    statistics: Statistics,
) -> None:
    """Train beside the first process, which says what went wrong."""
    with suppress(TrainingDiverged, SystemExit):
        train_run(team, row, guidance, recipe, network, inputs, device, method, statistics)


def train_run(
    team: Replicas,
    row: str,
    guidance: str,
    recipe: Recipe,
    network: Section,
    inputs: TrainInputs,
    device: torch.device,
    method: str,
    statistics: Statistics,
    observe: Observe | None = None,
    compiled: bool = False,
) -> tuple[torch.nn.Module, dict[str, object], list[Losses]]:
    """Train, in the first process or beside it, from the newest checkpoint on.

    Checkpoints lie in a scratch folder keyed by all that the result depends on: recipe, network, guidance, head, fits,
    clips, kind of device, statistics of normalisation, code.

    `observe`, which the first process is given, says who observes the run before it trains. With `compiled` the parts
    of `model.training.compiled` are; the scratch folder is the same, because on CUDA no two runs are equal anyway.

    Returns:
        The trained networks, what they were made from, and the training curve.
    """
    if recipe.batch_size % team.count:
        raise ValueError(f"{team.count} processes cannot take equal shares of batch_size {recipe.batch_size}")
    if device.type == "cpu":
        torch.set_num_threads(recipe.run.cpu_threads)
    head, adapter_kind, teacher = load_head(inputs.head), adapter_named(method), teacher_named(method)
    if teacher is None:
        raise ValueError(f"{method} cannot be trained here: there is no {teacher_module(method)}")
    labels = inputs.parts if network.needs_parts else None
    data = PairDataset(inputs.clips, inputs.fits, head, landmarks=adapter_kind.table == "landmarks", parts=labels)
    _check_size(data, recipe.image_px)
    provenance = row_provenance(row, guidance, recipe, network, inputs, head)
    folder = scratch_dir(KIND, run_key(provenance, device.type, statistics, method))
    store = CheckpointStore(folder)
    judged_by = network.perceptual
    perceptual = Perceptual(load_backbone(judged_by), judged_by.blocks, network.losses.perceptual_scales)
    torch.manual_seed(recipe.seed)
    made = teacher.build(recipe, network, guidance, head)
    config = train_config(recipe, network)
    lesson, adapter = teacher.lesson(made, network, perceptual), adapter_kind(made, head)
    if statistics == "batch":
        for taught in (lesson.network, lesson.rivals):
            share_statistics(taught, team)
    if compiled:
        compile_parts(lesson)

    drawing = Drawing(data, adapter, teacher, head, recipe, (team.rank, team.count))

    def underway(waited: Callable[[], float]) -> Underway:
        sample, people = drawing.sample(SAMPLE)
        return Underway(row, folder, lesson, sample.to(device, config.layout), people, config, device, waited)

    with batches_ahead(drawing.batch, recipe.iterations, device) as ready:
        batch_at = TimedBatches(ready)
        on_step: Callable[[int, Losses], None] = _unobserved
        if observe is not None:
            observer, stored = observe(underway(lambda: batch_at.waited_s)), store.load()
            observer.begin(*((stored["step"], stored["curve"]) if stored else (0, [])))
            on_step = observer.after_step
        try:
            curve = train(lesson, batch_at, config, device, store, on_step, team)
        except TrainingDiverged as failure:
            raise type(failure)(f"{row}: {failure}. {_kept(store)}") from None
        except RuntimeError as failure:
            if not failed_to_compile(failure):
                raise
            why = " ".join(str(failure).split())[:200]
            raise RuntimeError(f"{row}: torch.compile failed ({why}); --no-compile trains without it") from failure
    normalised = {"of": statistics, "pairs": recipe.batch_size // (team.count if statistics == "share" else 1)}
    return made, {**provenance, "batch_statistics": normalised}, curve


def run_key(provenance: Mapping[str, object], device_type: str, statistics: Statistics, method: str) -> str:
    """Hash all that the states of a run depend on: what it is made from, device, statistics, and the code."""
    code = code_sha256("pipeline.training.run", adapter_module(method), teacher_module(method))
    return sha256_text(provenance, device_type, statistics, code)


def run_folder(
    row: str,
    guidance: str,
    recipe: Recipe,
    network: Section,
    inputs: TrainInputs,
    device_type: str,
    method: str,
    statistics: Statistics,
) -> Path:
    """Where the states of a run lie, or would lie; arguments as of `train_run`, with the kind of device alone."""
    provenance = row_provenance(row, guidance, recipe, network, inputs, load_head(inputs.head))
    return scratch_place(KIND, run_key(provenance, device_type, statistics, method))


def perceptual_weights(config: PerceptualSection) -> Path:
    """File of the perceptual network's weights: an imported asset, or a file of the project.

    Raises:
        AssetMissing, AssetRefused: see `pipeline.store.assets.require`.
    """
    name = asset_meant(config.weights)
    return require(name) if name else Path(config.weights)


def load_backbone(config: PerceptualSection) -> torch.nn.Module:
    """Load the perceptual loss's network from the weights that its section names."""
    weights = perceptual_weights(config)
    if config.backbone == "puppet_tracker":
        return load_tracker(weights)
    if config.backbone == "efficientnet_lite0":
        return load_efficientnet_lite0(weights)
    return Vgg19(weights, cast(Literal["first", "last"], config.backbone.removeprefix("vgg19_")))


def _kept(store: CheckpointStore) -> str:
    """What is left of a run that went astray."""
    steps = [step_of(path) for path in store.states()]
    if not steps:
        return "No state was kept before."
    return (
        f"The last good state is of step {steps[0]}; kept in {store.folder}: steps {', '.join(map(str, steps[::-1]))}; "
        "the same run goes on from the newest that is there."
    )


def _unobserved(_step: int, _losses: Losses) -> None:
    pass


def _check_size(data: PairDataset, image_px: int) -> None:
    size = tuple(data.batch(0, 0, 1).source.shape[-2:])
    if size != (image_px, image_px):
        raise ValueError(f"the clips are {size[1]}x{size[0]} px, but the recipe's image_px is {image_px}")


def row_provenance(
    row: str, guidance: str, recipe: Recipe, network: Section, inputs: TrainInputs, head: HeadModel
) -> dict[str, object]:
    """What a row is made from, code apart, as it stands in the trained model's config.json."""
    return {
        "row": row,
        "guidance": guidance,
        "recipe": recipe.recorded(),
        "network": network.model_dump(mode="json"),
        "head_sha256": head.sha256,
        "fits_sha256": sha256_file(inputs.fits),
        "clips_sha256": clips_sha256(inputs.clips),
        "perceptual_sha256": hash_of(perceptual_weights(network.perceptual)),
        **({"parts_sha256": sha256_file(inputs.parts)} if network.needs_parts and inputs.parts else {}),
    }


def clips_sha256(clips: Path) -> str:
    """Hash packed clips, by their index and the sizes of their shards."""
    shards = {path.name: path.stat().st_size for path in sorted(clips.glob("*.arrow"))}
    return sha256_text(sha256_file(clips / "index.parquet"), shards)
