"""Which network a perceptual loss should compare features with: rows trained equally long, on people held out.

    python -m benchmarks.perceptual --row open64.ict.geom_disp --minutes 5

Takes the clips, fits and pairs of a finished run, which it only reads. A step costs more with a larger network, so each
gets as many steps as fit into the same minutes: the steps' times are measured first, the networks in turn. Weights of
the losses are those of the profile, but the perceptual one's is scaled so that all networks see the same first loss.
Writes reports/benchmarks/perceptual.{json,md}.
"""

import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from benchmarks.timing import processor
from model.heads.head import load_head
from model.training.perceptual import Perceptual
from pipeline.assets import ASSETS
from pipeline.bench.evaluate import evaluate_row
from pipeline.bench.opening import EvaluateInputs
from pipeline.console import run_command, say
from pipeline.options import DeviceName, ParamsFile
from pipeline.params.recipe import Recipe, split_row
from pipeline.params.sections.base import PerceptualSection
from pipeline.params.sections.pwm import PwmSection
from pipeline.params.tree import Params, load_params
from pipeline.report.results import Pairs, Results
from pipeline.report.rows import Row
from pipeline.store.compute.devices import device_named
from pipeline.store.provenance import commit, versions, write_json, write_text
from pipeline.store.scratch_root import check_scratch
from pipeline.training.dataset import PairDataset
from pipeline.training.inputs import TrainInputs
from pipeline.training.row import train_row
from pipeline.training.run import load_backbone

WORK = Path("data/perceptual")  # models and results while it runs
OUT = Path("reports/benchmarks/perceptual.md")
SHIPPED = {"puppet_tracker": "pipeline/puppets/assets/tracker.safetensors"}
TRIAL_STEPS, TRIALS = (10, 60), 3
FIRST_PAIRS = 64  # of which the first loss is measured


def study(
    params: Params, key: str, backbones: Sequence[str], minutes: float, data: Path, work: Path, device: torch.device
) -> list[dict[str, Any]]:
    """Train one row with each network for equally long, and score it.

    Args:
        params: all parameters.
        key: the row, `recipe.head.guidance`.
        backbones: values of `perceptual.backbone`; the first one's loss is what the others' are scaled to.
        minutes: how long each trains, by the measured time of a step.
        data: folder of a finished run: `clips`, `fits`, `heads` and `pairs.parquet` are read.
        work: folder of models and results.
        device: where to train and evaluate.

    Returns:
        One dictionary a network: its weight, time of a step, steps and scores.

    Raises:
        ValueError: the key is none, or its recipe is not there.
        AssetMissing: the weights of a network are not there.
    """
    name, head, guidance = split_row(key)
    if name not in params.recipes:
        raise ValueError(f"row {key!r}: there is no recipe {name!r}; recipes has {', '.join(params.recipes)}")
    recipe, network = params.recipes[name], params.networks[name].pwm
    inputs = TrainInputs.of(data, head)
    sections = _sections(network, backbones, inputs)
    job = _Job(key, guidance, inputs, work, device)
    seconds = _seconds_a_step(job, recipe, sections)
    on = EvaluateInputs(clips=data / "clips" / "eval", heads=data / "heads", pairs=data / "pairs.parquet")
    row, found = Row(key, key, "pwm", head, guidance, name), []
    for backbone, section in sections.items():
        steps = round(60 * minutes / seconds[backbone])
        longer = steps / recipe.iterations
        drops = [max(1, round(step * longer)) for step in section.learning_rate.drop_steps]
        section = section.model_copy(
            update={"learning_rate": section.learning_rate.model_copy(update={"drop_steps": drops})}
        )
        start = time.perf_counter()
        job.train(recipe.model_copy(update={"iterations": steps}), section, work / backbone / "models" / key)
        took = time.perf_counter() - start
        results = work / backbone / "results"
        evaluate_row(params, key, on, work / backbone / "models", data / "fits", results / row.results, device)
        cells = Results([row], results, Pairs(data / "pairs.parquet"), params.report.min_people).cells()
        scores = {f"{cell.dataset}, {cell.task}, {cell.measure.id}": cell.value for cell in cells if not cell.reason}
        found.append({
            "backbone": backbone, "weight": section.losses.perceptual, "ms_a_step": 1e3 * seconds[backbone],
            "steps": steps, "trained_s": took, "scores": scores,
        })  # fmt: skip
    return found


class _Job:
    """A row's training, but for its length and losses."""

    def __init__(self, key: str, guidance: str, inputs: TrainInputs, work: Path, device: torch.device) -> None:
        self._key, self._guidance, self._inputs, self.work, self._device = key, guidance, inputs, work, device

    def train(self, recipe: Recipe, section: PwmSection, out: Path) -> None:
        train_row(self._key, self._guidance, recipe, section, self._inputs, out, self._device)


def _sections(network: PwmSection, backbones: Sequence[str], inputs: TrainInputs) -> dict[str, PwmSection]:
    """The row's section with each network in the perceptual loss, at the same first loss."""
    data = PairDataset(inputs.clips, inputs.fits, load_head(inputs.head))
    pairs = data.batch(0, 0, FIRST_PAIRS)
    sections, losses = {}, {}
    for backbone in backbones:
        weights = backbone if backbone in ASSETS else SHIPPED.get(backbone, "vgg19")
        judged_by = PerceptualSection.model_validate(
            {"backbone": backbone, "weights": weights, "blocks": network.perceptual.blocks}
        )
        sections[backbone] = network.model_copy(update={"perceptual": judged_by})
        losses[backbone] = _first_loss(judged_by, network.losses.perceptual_scales, pairs.source, pairs.driving)
    first = losses[backbones[0]]
    for backbone, section in sections.items():
        weight = network.losses.perceptual * first / losses[backbone]
        scaled = section.losses.model_copy(update={"perceptual": weight})
        sections[backbone] = section.model_copy(update={"losses": scaled})
    return sections


@torch.inference_mode()
def _first_loss(section: PerceptualSection, scales: int, source: Tensor, driving: Tensor) -> float:
    """The perceptual loss of copying the source."""
    perceptual = Perceptual(load_backbone(section), section.blocks, scales)
    return float(perceptual(source, perceptual.target(driving)))


def _seconds_a_step(job: _Job, recipe: Recipe, sections: Mapping[str, PwmSection]) -> dict[str, float]:
    """Median time of a step with each network: short and longer trainings in turn, their difference."""
    times: dict[str, list[float]] = {backbone: [] for backbone in sections}
    unseen = time.time_ns() % 2**31  # a seed that was trained before would only be read from scratch
    for trial in range(TRIALS):
        for backbone, section in sections.items():
            spans = []
            for steps in TRIAL_STEPS:
                short = recipe.model_copy(update={"iterations": steps, "seed": unseen + trial})
                start = time.perf_counter()
                job.train(short, section, job.work / "trial")
                spans.append(time.perf_counter() - start)
            times[backbone].append((spans[1] - spans[0]) / (TRIAL_STEPS[1] - TRIAL_STEPS[0]))
    return {backbone: statistics.median(found) for backbone, found in times.items()}


def page(report: Mapping[str, Any]) -> str:
    """The study as Markdown."""
    found = report["networks"]
    names = [one["backbone"] for one in found]
    lines = [
        "# The network of the perceptual loss", "",
        f"`{report['command']}`, commit {report['commit']}, {report['processor']}, "
        f"torch {report['versions']['torch']}. Profile {report['profile']}, one seed each; people that were held out.",
        "", f"Each was trained for {report['minutes']:g} minutes by the measured time of its steps; the weight of the "
        "loss is such that all begin at the same one.", "",
        f"| | {' | '.join(names)} |", f"| :--- |{' ---: |' * len(names)}",
        f"| weight of the loss | {' | '.join(format(one['weight'], '.3g') for one in found)} |",
        f"| ms a step | {' | '.join(format(one['ms_a_step'], '.0f') for one in found)} |",
        f"| steps | {' | '.join(str(one['steps']) for one in found)} |",
        f"| seconds trained | {' | '.join(format(one['trained_s'], '.0f') for one in found)} |",
    ]  # fmt: skip
    for score in found[0]["scores"]:
        texts = [format(one["scores"][score], ".4g") if score in one["scores"] else "–" for one in found]
        lines.append(f"| {score} | {' | '.join(texts)} |")
    return "\n".join(lines) + "\n"


def main(
    row: Annotated[str, typer.Option(help="the row, recipe.head.guidance")],
    minutes: Annotated[float, typer.Option(min=0.01, help="how long each trains")] = 5.0,
    backbone: Annotated[list[str] | None, typer.Option(help="a value of perceptual.backbone; give it again")] = None,
    data: Annotated[Path, typer.Option(help="data folder of a finished run, only read")] = Path("data"),
    params: ParamsFile = Path("params.yaml"),
    out: Annotated[Path, typer.Option(help="the page; its numbers go beside it")] = OUT,
    keep: Annotated[bool, typer.Option(help="keep models and generated frames, which show people")] = False,
    device: DeviceName = "auto",
) -> None:
    """Train a row with each network in its perceptual loss, equally long, and write how each scores."""
    settings, backbones = load_params(params), backbone or ["puppet_tracker", "efficientnet_lite0"]
    check_scratch()
    found = study(settings, row, backbones, minutes, data, WORK, device_named(device))
    report = {
        "command": f"python -m benchmarks.perceptual --row {row} --minutes {minutes:g}"
        + "".join(f" --backbone {one}" for one in backbone or ()),
        "commit": commit(), "processor": processor(), "versions": versions(), "profile": settings.bench.name,
        "minutes": minutes, "networks": found,
    }  # fmt: skip
    write_text(out, page(report))
    write_json(out.with_suffix(".json"), report)
    if not keep:
        shutil.rmtree(WORK)
    say(f"-> {out}")


if __name__ == "__main__":
    run_command(main)
