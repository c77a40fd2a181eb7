"""Measure a training step: `python -m benchmarks.train` writes reports/benchmarks/train.{json,md}.

A step is everything that training does but reading images: guidance drawn on the fly, generator, discriminator,
perceptual loss, all optimisers (benchmarks/train_step.py). CPU time is given beside wall time, because other processes
lengthen the latter.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks.device.settings import Run, pwm_of_run
from benchmarks.timing import environment
from benchmarks.train_cpu import beside_a_busy_core, by_compiler, gains_of_two, measured, over_convolutions
from benchmarks.train_cuda import matrix_rate, on_cuda
from benchmarks.train_flops import EXPECTED, step_gflops
from benchmarks.train_page import page
from benchmarks.train_switches import switches
from model.heads.head import load_head
from model.pwm.config import GUIDANCE_PARTS
from model.pwm.output import OUTPUTS
from pipeline.method_table import OURS
from pipeline.options import DeviceName
from pipeline.params.tree import Params, load_params
from pipeline.store.compute.devices import device_named
from pipeline.store.provenance import ROOT, write_json, write_text

PAPER = ROOT / "profiles" / "voxceleb.yaml"  # whose network the operations of a step are counted of as well
PUPPET = ROOT / "pipeline" / "puppets" / "assets" / "puppet.npz"
NO_CUDA = "no CUDA device"


def main(
    params: Annotated[Path, typer.Option(help="parameter file")] = Path("params.yaml"),
    recipe: Annotated[str, typer.Option(help="a key of `recipes`; that of the bench if empty")] = "",
    out: Annotated[Path, typer.Option(help="folder of the report")] = Path("reports/benchmarks"),
    guidance: Annotated[list[str] | None, typer.Option(help="rows; those of every guidance if none is named")] = None,
    output: Annotated[list[str] | None, typer.Option(help="their outputs; the recipe's own if none is named")] = None,
    threads: Annotated[int, typer.Option(help="threads of torch in each process; the recipe's if 0")] = 0,
    processes: Annotated[int, typer.Option(help="that share each batch; the recipe's if 0")] = 0,
    steps: Annotated[int, typer.Option(help="steps that are timed")] = 15,
    compare: Annotated[bool, typer.Option(help="on CUDA, time every row eager too")] = True,
    things: Annotated[bool, typer.Option(help="also time steps without each thing that makes them fast")] = True,
    compiled: Annotated[bool, typer.Option(help="on a CPU, also time a compiled step; compiling takes minutes")] = True,
    device: DeviceName = "cpu",
) -> None:
    """Time a training step of every row, and what it is made of."""
    settings, place = load_params(params), device_named(device)
    if recipe:
        settings = settings.model_copy(update={"bench": settings.bench.model_copy(update={"recipe": recipe})})
    chosen, network = settings.recipes[settings.bench.recipe], settings.networks[settings.bench.recipe].pwm
    run = chosen.run.model_copy(update={"cpu_threads": threads or chosen.run.cpu_threads})
    chosen = chosen.model_copy(update={"run": run})
    head = load_head(Path(settings.data.heads) / f"{settings.bench.head}.npz")
    rows = [
        Run(OURS, name, made) for name in guidance or GUIDANCE_PARTS for made in output or [network.generator.output]
    ]
    report = environment("benchmarks.train", run.cpu_threads)
    report |= {"image_px": chosen.image_px, "batch": chosen.batch_size, "device": place.type}
    report["gflop"] = _counted(settings)
    first = pwm_of_run(settings, rows[0])[1]
    if place.type == "cuda":
        rate = matrix_rate()
        report["bf16_tflops"] = rate / 1e12
        report["rows"] = {}
        for row in rows:
            job = chosen, pwm_of_run(settings, row)[1], row.guidance, head, place
            report["rows"][row.name] = on_cuda(*job, max(2, steps // 5), rate, compare)
            print(row.name, report["rows"][row.name]["step_ms"], flush=True)
        report["cpu"] = {"skipped": "measured with --device cpu"}
    else:
        count = processes or run.cpu_processes
        report["processes"] = count
        torch.set_num_threads(run.cpu_threads)
        report["rows"] = {
            row.name: measured(count, chosen, pwm_of_run(settings, row)[1], row.guidance, head, steps) for row in rows
        }
        alone = chosen, first, rows[0].guidance, head, steps
        report["cpu"] = {
            "over_convolutions": over_convolutions(*alone),
            "beside_a_busy_core": beside_a_busy_core(*alone),
            "two_processes": gains_of_two(*alone),
        }
        report["compiled"] = by_compiler(*alone) if compiled else {"skipped": "--no-compiled"}
        report["cuda"] = {"skipped": NO_CUDA if not torch.cuda.is_available() else "measured with --device cuda"}
    if things:
        report["things"] = switches(chosen, first, rows[0].guidance, head, place, max(2, steps // 3))
    report["compared"] = rows[0].name
    write_json(out / "train.json", report)
    write_text(out / "train.md", page(report))
    print(page(report))


def _counted(settings: Params) -> Mapping[str, Any]:
    """GFLOP of an image's share of a step: of the recipe's own networks, and of the paper's with both outputs."""
    puppet, paper = load_head(PUPPET), load_params(PAPER)
    own = settings.networks[settings.bench.recipe].pwm.generator.output
    found = {}
    for name, tree, outputs in (("this recipe", settings, [own]), ("paper", paper, list(OUTPUTS))):
        for row in (Run(OURS, guidance, output) for guidance in GUIDANCE_PARTS for output in outputs):
            recipe, network = pwm_of_run(tree, row)
            found[f"{name}: {row.name}"] = {
                "px": recipe.image_px,
                "gflop_an_image": step_gflops(recipe, network, row.guidance, puppet),
                "before": EXPECTED.get(row.guidance) if name == "paper" else None,
            }
    return found


if __name__ == "__main__":
    typer.run(main)
