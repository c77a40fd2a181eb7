"""Time what makes a frame: `python -m benchmarks.generate` writes reports/benchmarks/generate.{json,md}.

Each network runs at its native size, with random weights and random signals, which cost the same as true ones; what
makes the signals (landmarks, drawings, coefficients) is not in the times. The rows named `pwm` are this project's
network, for comparison, with its guidance rendered from the shipped puppet head. Two rows more are of its largest size:
the generator alone, its guidance given, and a stream, in which each driving frame is fitted, drawn and animated: the
shipped tracker finds the puppet head that is drawn, and DECA's encoder, by which the paper fits FLAME, runs beside it.

FLOPs are those that torch.utils.flop_counter counts, two for a multiplication with its addition: convolutions and
matrix products, in Bi-Layer's gradient steps too; not norms, activations, resampling or rasterisation.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

import torch
import typer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import clock, devices, environment, heading, ms, seconds, spread, table
from benchmarks.train_step import random_fits
from model.frame.layout import lay_out
from model.heads.fit import HeadFit
from model.heads.head import load_head
from model.heads.retarget import retarget
from model.puppet_nets.tracker import load_tracker
from model.pwm.animator import Animator, AnimatorConfig, fit_signals
from model.trackers.deca import DecaEncoder
from pipeline.adapters.pwm.configs import generator_config, guidance_config
from pipeline.params.tree import load_params
from pipeline.released.systems import SYSTEMS, network_of
from pipeline.store.provenance import ROOT, write_json, write_text

HEAD = ROOT / "pipeline" / "puppets" / "assets" / "puppet.npz"
GUIDANCE = "geom_disp"
PROFILES = {"pwm 64 px": "params.yaml", "pwm 256 px": "profiles/voxceleb.yaml"}
LARGEST = "pwm 256 px"
GENERATOR, STREAM = "generator 256 px", "stream 256 px"
GENERATOR_MS, STREAM_FPS = 6.0, 100.0  # goals on an H100 or H200, at batch 1
TRACKER = HEAD.with_name("tracker.safetensors")
DECA_PX = 224
NO_CUDA = "no CUDA device on this machine"

Shape = tuple[int | str, ...]  # "n" stands for the native size
IMAGE: Shape = (3, "n", "n")
# What drives each system: shapes of its signals, without the batch.
SIGNALS: dict[str, dict[str, Shape]] = {
    "fomm": {"driving": IMAGE},
    "fomm3d": {"driving": IMAGE},
    "pirender": {"coefficients": (73, 27)},
    "x2face": {"driving": IMAGE},
    "headgan": {"driving_nmfc": (9, "n", "n"), "source_nmfc": IMAGE},
    "bilayer": {
        "source_landmarks": (68, 2),
        "driving_landmarks": (68, 2),
        "stickman": IMAGE,
        "mask": (1, "n", "n"),
    },
    "lsr": {"source_contour": IMAGE, "driving_contour": IMAGE},
}


@dataclass(frozen=True)
class Made:
    """A network that can be timed.

    Attributes:
        network: in the state for inference.
        native_px: side of its images.
        call: makes B frames on a device.
    """

    network: nn.Module
    native_px: int
    call: Callable[[int, str], Callable[[], Any]]


def system(name: str) -> Made:
    """A published system in the configuration of the tables."""
    torch.manual_seed(0)
    network = network_of(name).eval()
    native_px = int(network.native_px)  # type: ignore[arg-type]

    def call(batch: int, device: str) -> Callable[[], Any]:
        source = _images(batch, native_px, device)
        signals = {key: _random(batch, shape, native_px, device) for key, shape in SIGNALS[name].items()}
        return lambda: network(source, signals)

    return Made(network, native_px, call)


def pwm(profile: str) -> Made:
    """This project's network, in the sizes of a profile."""
    torch.manual_seed(0)
    params = load_params(ROOT / profile)
    name, head = params.bench.recipe, load_head(HEAD)
    image_px, sizes = params.recipes[name].image_px, params.networks[name].pwm
    config = AnimatorConfig(guidance=guidance_config(sizes, GUIDANCE), generator=generator_config(sizes))
    network = Animator(head, config).eval()

    def call(batch: int, device: str) -> Callable[[], Any]:
        source = _images(batch, image_px, device)
        draw = torch.Generator().manual_seed(0)
        signals = fit_signals(*(random_fits(head, batch, draw).to(device) for _ in range(2)))
        return lambda: network(source, signals)

    return Made(network, image_px, call)


class Stream(nn.Module):
    """A source, fitted once, driven by frame after frame.

    Args:
        animator: driven by the puppet head.
    """

    def __init__(self, animator: Animator) -> None:
        super().__init__()
        self.animator, self.tracker, self.encoder = animator, load_tracker(TRACKER), DecaEncoder().eval()

    @torch.no_grad()
    def forward(self, source: Tensor, fit_src: HeadFit, driving: Tensor) -> Any:
        """Animate sources by driving frames (B, 3, H, W)."""
        self.encoder(F.interpolate(driving, size=(DECA_PX, DECA_PX), mode="bilinear"))
        found = self.tracker.predict(driving, HEAD.stem).fit
        return self.animator(source, fit_signals(fit_src, retarget(fit_src, found, False, self.animator.head)))


def generator_alone() -> Made:
    """The generator of `LARGEST`, with its guidance given."""
    whole = pwm(PROFILES[LARGEST])
    animator, image_px = cast(Animator, whole.network), whole.native_px

    def call(batch: int, device: str) -> Callable[[], Any]:
        source = _images(batch, image_px, device)
        fits = [random_fits(animator.head, batch, torch.Generator().manual_seed(0)).to(device) for _ in range(2)]
        with torch.no_grad():
            maps = animator.guidance(animator.head, *fits, (image_px, image_px))
        return lambda: animator.generator(source, maps)

    return Made(animator, image_px, call)


def stream() -> Made:
    """Fit, guidance and generator of `LARGEST`."""
    whole = pwm(PROFILES[LARGEST])
    network, image_px = Stream(cast(Animator, whole.network)), whole.native_px

    def call(batch: int, device: str) -> Callable[[], Any]:
        source, driving = (_images(batch, image_px, device) for _ in range(2))
        fit = random_fits(network.animator.head, batch, torch.Generator().manual_seed(0)).to(device)
        return lambda: network(source, fit, driving)

    return Made(network, image_px, call)


def rows() -> dict[str, Callable[[], Made]]:
    """Every row's network by its name."""
    found: dict[str, Callable[[], Made]] = {name: partial(pwm, profile) for name, profile in PROFILES.items()}
    found |= {GENERATOR: generator_alone, STREAM: stream}
    return found | {name: partial(system, name) for name in SYSTEMS}


def flops(made: Made) -> int:
    """Floating-point operations of one frame (module docstring)."""
    with FlopCounterMode(display=False) as counter:  # with gradients: its hooks fail where Bi-Layer turns them on
        made.call(1, "cpu")()
    return int(counter.get_total_flops())


def measure(made: Made, batch: int, device: str, repeats: int, budget_s: float) -> dict[str, float]:
    """Time one cell. On a CPU what is slow is called once, and only batch 1, which comes first, warms up."""
    lay_out(made.network.to(device), channels_last=True)  # as `pipeline.methods.runner` has them
    call = made.call(batch, device)
    with torch.no_grad():
        if batch == 1 or device == "cuda":
            call()
        return spread(seconds(call, device, repeats, budget_s, warm_up=0, fewest=1), batch)


def row(name: str, made: Made, batches: list[int], repeats: int, budget_s: float) -> dict[str, Any]:
    """All numbers of one system."""
    found: dict[str, Any] = {
        "native_px": made.native_px,
        "parameters": sum(parameter.numel() for parameter in made.network.parameters()),
        "gflops": flops(made) / 1e9,
    }
    for device in devices():
        for batch in batches:
            started = time.perf_counter()
            found[f"{device} {batch}"] = measure(made, batch, device, repeats, budget_s)
            print(f"{name}: {device}, batch {batch}, {time.perf_counter() - started:.0f} s", flush=True)
    return found


def page(report: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    batches, places = report["batches"], report["devices"]
    columns = [f"{place.upper()}, batch {batch}" for place in places for batch in batches]
    cells = [
        [
            name,
            values["native_px"],
            f"{values['parameters'] / 1e6:.1f} M",
            f"{values['gflops']:.1f}",
            *(ms(values[f"{place} {batch}"][clock(place)]) for place in places for batch in batches),
        ]
        for name, values in report["rows"].items()
    ]
    lines = heading("A frame, ms", dict(report))
    lines += table(["system", "px", "parameters", "GFLOPs a frame", *columns], cells)
    lines += [
        "",
        "Median time a frame at native size, with random weights; the signals that drive a system are made before.",
        "On the CPU it is processor time, which other load lengthens less than wall time (in generate.json). GFLOPs",
        "count convolutions and matrix products at batch 1, two operations for a product with its addition",
        "(torch.utils.flop_counter), and nothing else: no norms, activations, resampling, rasterisation. Bi-Layer's",
        f"four gradient steps are in. `pwm` has guidance {GUIDANCE}, rendered from the puppet head.",
        *_goals(report),
        *(f"CUDA: not measured, {reason}." for reason in report["skipped"].values()),
        "",
    ]
    return "\n".join(lines)


def _goals(report: Mapping[str, Any]) -> list[str]:
    """Goals on CUDA, beside what was measured of them."""
    found = {name: report["rows"].get(name, {}).get("cuda 1", {}).get("ms_per_image") for name in (GENERATOR, STREAM)}
    alone, flow = found[GENERATOR], found[STREAM]
    return [
        "",
        f"Goals on CUDA at batch 1: the generator alone at most {GENERATOR_MS:g} ms "
        f"({'not measured' if alone is None else f'{alone:.2f}'}); the stream at least",
        f"{STREAM_FPS:g} frames a second ({'not measured' if flow is None else f'{1e3 / flow:.0f}'}).",
    ]


def main(
    out: Annotated[Path, typer.Option(help="folder of the report")] = Path("reports/benchmarks"),
    only: Annotated[list[str] | None, typer.Option(help="rows to measure; all if none is named")] = None,
    batch: Annotated[list[int] | None, typer.Option(help="batch sizes; 1 and 16 if none is named")] = None,
    threads: Annotated[int, typer.Option(help="threads of torch on the CPU")] = 1,
    repeats: Annotated[int, typer.Option(help="calls of a cell, at most")] = 5,
    budget_s: Annotated[float, typer.Option(help="seconds after which a cell gets no further call")] = 20.0,
) -> None:
    """Time every system's frames."""
    torch.set_num_threads(threads)
    batches, every = batch or [1, 16], rows()
    if unknown := sorted(set(only or ()) - set(every)):
        raise typer.BadParameter(f"no row {', '.join(unknown)}: there are {', '.join(every)}")
    report = environment("benchmarks.generate", threads) | {
        "batches": batches,
        "devices": devices(),
        "skipped": {} if "cuda" in devices() else {"cuda": NO_CUDA},
    }
    report["rows"] = {name: row(name, every[name](), batches, repeats, budget_s) for name in only or every}
    write_json(out / "generate.json", report)
    write_text(out / "generate.md", page(report))
    print(page(report))


def _images(batch: int, side: int, device: str) -> Tensor:
    return torch.rand(batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)


def _random(batch: int, shape: Shape, native_px: int, device: str) -> Tensor:
    sides = [native_px if side == "n" else int(side) for side in shape]
    return torch.rand(batch, *sides, device=device)


if __name__ == "__main__":
    typer.run(main)
