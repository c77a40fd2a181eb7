"""Measure the paper's instruments: `python -m benchmarks.instruments_scale` (reports/benchmarks/instruments_scale).

The networks of the first three comparisons have untrained weights in the official layouts, on which time does not
depend; each is in turns within one run: FAN and S3FD in batches against face-alignment's own loop; DECA's crops and
encoder against a bare ResNet-50 of torchvision; reading images for FID, CSIM, AKD and LPIPS against the bare forward
passes of the networks behind them. The fourth reads 1,000 pairs of frames with faces by the open instruments
(benchmarks/open_scale.py), where `pwm assets fetch open` has brought them. What cannot be measured says so.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import nn

from benchmarks.footage import moving_frames
from benchmarks.iresnet import FACE_PX, IResNet50, write_onnx
from benchmarks.open_scale import open_evaluation
from benchmarks.package_loop import PackageLoop, write_random_weights
from benchmarks.timing import clock, environment, heading, in_turns, ms, spread, table
from model.frame.coords import frames_to_tensor
from model.trackers.deca import DecaEncoder
from pipeline.metrics.backends.arcface import ArcFace
from pipeline.metrics.backends.fan import Fan
from pipeline.metrics.backends.inception import Inception
from pipeline.metrics.backends.lpips_alex import LpipsAlex
from pipeline.metrics.images import Images
from pipeline.metrics.protocols import Backend
from pipeline.metrics.readings import Readings
from pipeline.store.provenance import write_json, write_text
from pipeline.tools.weight_layouts import LAYOUTS
from pipeline.trackers import deca_crop
from pipeline.trackers.fan import FanLandmarks

SIZE_PX, BATCH = 256, 64
INCEPTION_PX = 299
CPU = torch.device("cpu")
FACE = (60.0, 50.0, 200.0, 210.0, 0.9)  # where every frame is said to have its face
GOALS = {"fan": 1.0, "deca": 0.6, "evaluation": 1.4, "open": 1.4}
Work = Callable[[], object]


def random_release(path: Path, asset: str) -> Path:
    """Write untrained weights of a torch asset: small numbers, running variances of one."""
    layout = LAYOUTS[asset]
    state = {
        name: torch.ones(value.shape)
        if name.endswith(("running_var", "bn.weight"))
        else 0.02 * torch.randn(value.shape)
        for name, value in layout.tensors().items()
        if value.dtype == torch.float32
    }
    counted = {n: torch.zeros(v.shape, dtype=v.dtype) for n, v in layout.tensors().items() if n not in state}
    torch.save({**state, **counted}, path)
    return path


class OneFace(FanLandmarks):
    """FAN and S3FD, both run; the face is said to lie where it always lies, as untrained weights see it anywhere."""

    def __init__(self, fan: Path, s3fd: Path, device: torch.device) -> None:
        super().__init__(fan, s3fd, device)
        surest = self.boxes.surest

        def placed(frames_u8: np.ndarray) -> np.ndarray:
            surest(frames_u8)
            return np.tile(FACE, (len(frames_u8), 1))

        self.boxes.surest = placed  # type: ignore[method-assign]


def timed(works: dict[str, Work], images: int, repeats: int) -> dict[str, dict[str, float]]:
    """Time several pieces of work over as many images, in turns."""
    times = in_turns(list(works.values()), "cpu", repeats, 120.0, warm_up=1, fewest=2)
    return {name: spread(found, images) for name, found in zip(works, times, strict=True)}


def landmarks(folder: Path, count: int, repeats: int) -> dict[str, dict[str, float]]:
    """FAN with S3FD on frames of 256 px: ours and the package's."""
    weights = write_random_weights(folder, shy=True)
    frames, face = np.stack(moving_frames(count, (SIZE_PX, SIZE_PX), 0)), np.array(FACE)
    ours, package = OneFace(*weights, CPU), PackageLoop(*weights)
    return timed(
        {
            "FAN and S3FD in batches": lambda: ours.look(frames),
            "face-alignment's loop": lambda: [(package.boxes(f), package.points(f, face)) for f in frames],
        },
        count,
        repeats,
    )


def deca(repeats: int, device: torch.device, batch: int) -> dict[str, dict[str, float]]:
    """DECA from frames and landmarks to codes, and ResNet-50 on crops that are there."""
    from torchvision.models import resnet50

    frames_u8 = torch.from_numpy(np.stack(moving_frames(batch, (SIZE_PX, SIZE_PX), 0)))
    marks = torch.rand(batch, 68, 2, generator=torch.Generator().manual_seed(0)) * 140 + 60
    encoder, bare = DecaEncoder().eval().to(device), resnet50(weights=None).eval().to(device)
    crops = torch.rand(batch, 3, deca_crop.CROP_PX, deca_crop.CROP_PX, device=device)

    def fitted() -> object:
        to_crop = torch.cat([deca_crop.find_crop(points[None]) for points in marks])
        img = deca_crop.cut(frames_to_tensor(frames_u8.to(device)), to_crop)
        return encoder(img).cpu(), deca_crop.tracker_map(to_crop, (SIZE_PX, SIZE_PX))

    with torch.inference_mode():
        return timed({"DECA, cropping included": fitted, "bare ResNet-50": lambda: bare(crops).cpu()}, batch, repeats)


def evaluation(folder: Path, pairs: int, repeats: int) -> dict[str, Any]:
    """Read every image of some pairs for all metrics, each network alone and all together, and the bare passes."""
    fan, s3fd = write_random_weights(folder, shy=True)
    finder = OneFace(fan, s3fd, CPU)
    onnx = write_onnx(IResNet50(), folder / "arcface.onnx")
    frames = np.stack(moving_frames(2 * pairs, (SIZE_PX, SIZE_PX), 0))
    images = Images.of(frames)
    backends: dict[str, tuple[Backend, str]] = {
        "AKD: fan": (Fan(finder), "landmarks_px"),
        "CSIM: arcface, on FAN's points": (ArcFace(onnx, Fan(finder)), "embedding"),
        "FID: inception": (Inception(random_release(folder / "inception.pth", "inception"), CPU), "pooled"),
    }
    lpips = LpipsAlex(random_release(folder / "alexnet.pth", "lpips_alex"), CPU)
    arcface, inception = backends["CSIM: arcface, on FAN's points"][0], backends["FID: inception"][0]
    planes, faces = torch.rand(4, 3, SIZE_PX, SIZE_PX), np.zeros((16, 3, FACE_PX, FACE_PX), np.float32)
    wide = torch.rand(8, 3, INCEPTION_PX, INCEPTION_PX)

    def read(readings: Readings) -> None:
        for backend, reading in backends.values():
            readings.read(backend, reading, images)
        for start in range(0, pairs, 16):
            lpips.perceptual_distance(frames[start : min(start + 16, pairs)], frames[pairs + start :][:16])

    def anew() -> Readings:
        return Readings(Path(tempfile.mkdtemp(dir=folder)), batch_size=16)

    def passes(network: Callable[[Any], object], batch: Any) -> Work:
        count, step = len(frames), len(batch)
        return lambda: [network(batch[: min(step, count - start)]) for start in range(0, count, step)]

    bare: dict[str, Work] = {
        "bare S3FD": passes(finder.boxes.net, planes),
        "bare FAN": passes(finder.net, planes),
        "bare ArcFace": passes(arcface.net.forward, faces),  # type: ignore[attr-defined]
        "bare Inception": passes(_inception_body(inception.net), wide),  # type: ignore[attr-defined]
        "bare AlexNet": passes(lpips.net.net, torch.rand(8, 3, SIZE_PX, SIZE_PX)),
    }

    def alone(backend: Backend, reading: str) -> Work:
        return lambda: anew().read(backend, reading, images)

    each = {name: alone(backend, reading) for name, (backend, reading) in backends.items()}
    with torch.inference_mode():
        return timed({**each, "all metrics": lambda: read(anew()), **bare}, len(frames), repeats)


def _inception_body(net: nn.Module) -> Callable[[torch.Tensor], object]:
    """Inception behind its resize: frames that have its size already are only scaled."""
    as_bytes = torch.randint(0, 255, (8, 3, INCEPTION_PX, INCEPTION_PX), dtype=torch.uint8)
    return lambda batch: net(as_bytes[: len(batch)])


def ratios(report: dict[str, Any]) -> dict[str, float | None]:
    """Ours against the yardstick: times as fast, a share of its speed, and a multiple of its time."""
    time = clock("cpu")
    fan, found = report["fan"], report["deca"]

    def of_bare(works: dict[str, dict[str, float]]) -> float:
        return works["all metrics"][time] / sum(v[time] for name, v in works.items() if name.startswith("bare "))

    return {
        "fan": fan["face-alignment's loop"][time] / fan["FAN and S3FD in batches"][time],
        "deca": found["bare ResNet-50"][time] / found["DECA, cropping included"][time],
        "evaluation": of_bare(report["evaluation"]),
        "open": of_bare(report["open"]["works"]) if report["open"] else None,
    }


def page(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    found = report["ratios"]
    cuda = report["deca_cuda"]
    lines = [
        *heading("The paper's instruments in batches", report),
        f"Frames of {SIZE_PX} px, untrained weights in the official layouts, one thread. CPU ms an image.",
        "",
        *table(
            ["", "measured", "goal"],
            [
                ["FAN and S3FD in batches, times as fast as face-alignment's loop", f"{found['fan']:.2f}", ">= 1"],
                [f"DECA at batch {BATCH}, share of bare ResNet-50's speed, CPU", f"{found['deca']:.2f}", ">= 0.6"],
                ["the same on CUDA", f"{cuda:.2f}" if cuda else "not measured", ">= 0.6"],
                ["FAN in batches on CUDA against the package's loop", "not measured", ">= 5"],
                ["reading for all metrics, multiple of the bare passes", f"{found['evaluation']:.2f}", "<= 1.4"],
                [
                    "the same by the open instruments",
                    f"{found['open']:.2f}" if found["open"] else "not measured",
                    "<= 1.4",
                ],
            ],
        ),
    ]
    for name in ("fan", "deca", "evaluation"):
        lines += ["", *_times(name, report[name])]
    if read := report["open"]:
        lines += [
            "",
            *_times(f"open instruments, {read['pairs']} pairs, the mesh run by {read['runner']}", read["works"]),
        ]
    lines += [
        "",
        "`all metrics` reads each image once for FAN's points, which AKD and CSIM share: less than the sum of",
    ]
    lines += ["the metrics alone. LPIPS compares pairs, so that its network sees as many images as the others.", ""]
    return "\n".join(lines)


def _times(name: str, works: dict[str, dict[str, float]]) -> list[str]:
    rows = [[work, ms(values["cpu_ms_per_image"]), ms(values["ms_per_image"])] for work, values in works.items()]
    return table([name, "CPU ms an image", "wall ms"], rows)


def main(
    out: Annotated[Path, typer.Option(help="folder of the report")] = Path("reports/benchmarks"),
    faces: Annotated[int, typer.Option(help="frames of the landmark comparison")] = 8,
    pairs: Annotated[int, typer.Option(help="pairs of the evaluation")] = 8,
    batch: Annotated[int, typer.Option(help="faces a pass of DECA")] = BATCH,
    repeats: Annotated[int, typer.Option(help="measured turns")] = 2,
    assets: Annotated[Path, typer.Option(help="what `pwm assets fetch open` brought")] = Path("data/assets"),
    open_pairs: Annotated[int, typer.Option(help="pairs of the evaluation by open instruments")] = 1000,
) -> None:
    """Measure, and write instruments_scale.json and instruments_scale.md."""
    torch.set_num_threads(1)
    report: dict[str, Any] = environment("benchmarks.instruments_scale", 1)
    with tempfile.TemporaryDirectory() as name, torch.inference_mode():
        folder = Path(name)
        report["fan"] = landmarks(folder, faces, repeats)
        report["deca"] = deca(repeats, CPU, batch)
        report["evaluation"] = evaluation(folder, pairs, repeats)
        there = (assets / "face_mesh.tflite").is_file()
        report["open"] = open_evaluation(assets, folder, open_pairs, 1) if there else None
    report["ratios"] = ratios(report)
    report["goals"] = GOALS
    report["deca_cuda"] = None
    if torch.cuda.is_available():
        on_cuda = deca(repeats, torch.device("cuda"), batch)
        report["deca_cuda"] = (
            on_cuda["bare ResNet-50"]["ms_per_image"] / on_cuda["DECA, cropping included"]["ms_per_image"]
        )
    write_json(out / "instruments_scale.json", report)
    write_text(out / "instruments_scale.md", page(report))
    typer.echo(page(report))


if __name__ == "__main__":
    typer.run(main)
