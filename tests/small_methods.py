"""Every method in small, with clips and fits to drive it: what tests ask of all methods alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from model.heads.arrays import save_head
from model.heads.fit import HeadFit
from model.heads.head import HeadModel, load_head
from model.method.files import save_model
from model.pwm.animator import Animator, AnimatorConfig
from model.pwm.config import GeneratorConfig, GuidanceConfig
from pipeline.adapters.pirender.coefficients import HEAD as BFM
from pipeline.method_table import OURS
from pipeline.methods.protocol import View
from pipeline.methods.registry import ADAPTERS, adapter_named
from pipeline.methods.runner import Files, MethodRunner
from pipeline.methods.views import ClipView
from pipeline.store.fits import FitTable, build_fits, fits_metadata
from pipeline.store.schema import fits_schema, write_table
from tests.helpers import ROOT, random_head

# Settings that make each published network small and quick; an eighth is tested without a line here, only slower.
SMALL: dict[str, dict[str, object]] = {
    "x2face": {"native_px": 64, "levels": 6, "width": 4, "bottleneck": 8},
    "bilayer": {
        "image_px": 64, "embedded_channels": (8, 16), "inference_channels": (4, 8), "pose_channels": 8,
        "enhancer_channels": (4, 8), "enhancer_blocks": 2, "enhancer_steps": 2,
    },
    "lsr": {"native_px": 56, "style": 6, "classes": 5, "channels": 4, "most": 8, "levels": 3, "spade_hidden": 4},
    "fomm": {
        "image_px": 64, "num_kp": 3, "kp_width": 4, "kp_largest": 16, "kp_levels": 2, "motion_width": 4,
        "motion_largest": 16, "motion_levels": 2, "width": 8, "largest": 16, "num_residual": 1,
    },
    "fomm3d": {
        "image_px": 64, "num_kp": 3, "depth": 4, "kp_width": 4, "kp_largest": 16, "kp_levels": 2, "pose_width": 8,
        "motion_width": 4, "motion_largest": 16, "motion_levels": 2, "width": 8, "largest": 16, "num_residual": 1,
        "spade_hidden": 4,
    },
    "headgan": {"native_px": 64, "bottom_px": 16, "channels": 4, "hidden": 8},
    "pirender": {
        "native_px": 64, "descriptor": 16, "warp_channels": 4, "warp_max": 16, "edit_channels": 4, "edit_max": 8,
    },
}  # fmt: skip
CPU = torch.device("cpu")
SIZE = (40, 56)  # of the clips' frames, height and width
CLIPS = {"anna#v#0#6": 6, "berta#v#0#6": 6}
IDENTITY = (1.0, 0, 0, 0, 1, 0)


def small_network(method: str, head: HeadModel) -> nn.Module:
    """A method's network of few channels, of its native size; one without an entry in `SMALL` has its defaults."""
    torch.manual_seed(0)
    if method == OURS:
        return Animator(head, small_animator())
    module, _, kind = import_module(f"{ADAPTERS}.{method}.release").RELEASE.network.partition(":")
    found = import_module(module)
    network: nn.Module = getattr(found, kind)(getattr(found, f"{kind}Config")(**SMALL.get(method, {})))
    return network


def small_animator(guidance: str = "geom_disp+neural_codes") -> AnimatorConfig:
    """Our network's configuration, of three levels."""
    sizes = GeneratorConfig(
        channels=(8, 8, 4), outer_kernel=3, spade_hidden=4, output="warped_source", last_disp="own",
        disp_refines=False, disp_gain=0.5, image_gain=1.0, disp_scale=1.0, nmfc_scale=1.0, nmfc_centre="by_coverage",
    )  # fmt: skip
    guide = GuidanceConfig(name=guidance, render_px=16, code_dim=4, code_std=1.0, code_frequency=1.5)
    return AnimatorConfig(guidance=guide, generator=sizes)


def faces() -> np.ndarray:
    """Landmarks (rows, 68, 2) ndc of the clips' frames: two stored poses, larger, smaller and elsewhere."""
    with np.load(ROOT / "tests" / "data" / "contours.npz") as stored:
        poses = (stored["landmarks_px"] + 0.5) / 112 - 1
    rng, rows = np.random.default_rng(3), sum(CLIPS.values())
    scales, shifts = rng.uniform(0.7, 1.0, (rows, 1, 1)), rng.uniform(-0.15, 0.15, (rows, 1, 2))
    return (poses[np.arange(rows) % 2] * scales + shifts).astype(np.float32)


def _rows() -> dict[str, list]:
    return {
        "clip": [clip for clip, length in CLIPS.items() for _ in range(length)],
        "frame": [frame for length in CLIPS.values() for frame in range(length)],
    }


def _fits_of_head(head: HeadModel) -> pa.Table:
    """Random fits of every frame; a person's shape is one in all of them."""
    generator, count = torch.Generator().manual_seed(0), sum(CLIPS.values())
    shapes = torch.randn(len(CLIPS), head.num_shape, generator=generator)
    pose = torch.zeros(count, head.num_pose)
    pose[:, :3] = 0.3 * torch.randn(count, 3, generator=generator)
    fit = HeadFit(
        shapes.repeat_interleave(torch.tensor(list(CLIPS.values())), 0),
        torch.randn(count, head.num_expression, generator=generator),
        pose,
        torch.tensor([[0.06, 0.0, 0.0]]).expand(count, 3) + 0.01 * torch.rand(count, 3, generator=generator),
        torch.tensor([IDENTITY]).expand(count, 6).contiguous(),
    )
    return build_fits(head, **_rows(), status=["ok"] * count, score=np.ones(count), residual=np.zeros(count), fit=fit,
                      crop_map=np.zeros((count, 6)), landmarks=faces())  # fmt: skip


def _fits_of_bfm() -> pa.Table:
    """Numbers in the places of the Basel face's: 80 of shape, 64 of expression, 3 of pose and 3 of camera."""
    rng, count = np.random.default_rng(4), sum(CLIPS.values())
    schema = fits_schema(80, 64, 3, 3)
    drawn = {
        field.name: list(rng.normal(0, 0.3, (count, field.type.list_size)).astype(np.float32))
        for field in schema
        if pa.types.is_fixed_size_list(field.type)
    }
    plain = {field.name: np.zeros(count) for field in schema if field.name not in drawn}
    columns = plain | drawn | _rows() | {"status": ["ok"] * count, "landmarks": list(faces().reshape(count, 136))}
    return pa.table({name: pa.array(columns[name], schema.field(name).type) for name in schema.names}, schema=schema)


@dataclass(frozen=True, eq=False)
class SmallWorld:
    """Heads, fits and clips in a folder; `head` is that of `bench.head`."""

    folder: Path
    head: HeadModel
    frames_u8: Mapping[str, np.ndarray]

    def files(self, method: str) -> Files:
        """A method's small model, made and written when first asked for."""
        model = self.folder / "models" / method
        if not model.exists():
            head = self.head if adapter_named(method).table == "own" else None
            save_model(model, method, self.network(method), head, 0, {})
        return Files(model, self.folder / "heads", self.folder / "fits", self.head.name)

    @cache  # noqa: B019 (few worlds, each as long as its tests)
    def network(self, method: str) -> nn.Module:
        """A method's small network, whose norms have seen the clips a few times, as those of a trained one have."""
        network, kind = small_network(method, self.head).train(), adapter_named(method)
        adapter = kind(network, self.head if kind.table == "own" else None)
        name = {"own": self.head.name, "landmarks": self.head.name}.get(kind.table, kind.table)
        fits = FitTable.read(self.folder / "fits" / name / "eval.parquet", beside=["landmarks"]) if name else None
        source, driving = (
            self._seen(fits, [(clip, frame) for clip in CLIPS for frame in frames]) for frames in ((0, 1, 2), (3, 4, 5))
        )
        driven = adapter.drive(source, driving, torch.ones(6, dtype=torch.bool))
        with torch.no_grad():
            for _ in range(5):
                network(driven.source, driven.signals)
        return network.eval()

    def _seen(self, fits: FitTable | None, frames: Sequence[tuple[str, int]]) -> ClipView:
        clips, numbers = zip(*frames, strict=True)
        stack = np.stack([self.frames_u8[clip][number] for clip, number in frames])
        return ClipView(lambda: stack, SIZE, np.array(clips, object), np.array(numbers), fits, CPU)

    @cache  # noqa: B019
    def runner(self, method: str, own_crop: bool = False) -> MethodRunner:
        """The small model, ready to animate."""
        return MethodRunner(self.files(method), CLIPS, CPU, own_crop)

    def view(self, runner: MethodRunner, *frames: tuple[str, int]) -> ClipView:
        """Frames (clip, number) as the method reads them."""
        return self._seen(runner.fits, frames)


def make_small_world(folder: Path) -> SmallWorld:
    """Write heads and fits, and draw clips of soft noise."""
    for place in ("heads", "fits/bumpy_sphere", f"fits/{BFM}"):
        (folder / place).mkdir(parents=True)
    save_head(folder / "heads" / "bumpy_sphere.npz", random_head())
    head = load_head(folder / "heads" / "bumpy_sphere.npz")
    write_table(folder / "fits" / head.name / "eval.parquet", _fits_of_head(head), fits_metadata(head, "toy", ""))
    write_table(folder / "fits" / BFM / "eval.parquet", _fits_of_bfm(), {"head": BFM})
    rng = np.random.default_rng(5)
    coarse = {clip: rng.integers(0, 256, (length, SIZE[0] // 4, SIZE[1] // 4, 3)) for clip, length in CLIPS.items()}
    frames = {clip: drawn.repeat(4, 1).repeat(4, 2).astype(np.uint8) for clip, drawn in coarse.items()}
    return SmallWorld(folder, head, frames)


@dataclass
class Watched:
    """A view that notes what it is asked for."""

    view: View
    asked: list[str]

    @property
    def size_hw(self) -> tuple[int, int]:
        """Of the view."""
        return self.view.size_hw

    def images(self) -> Tensor:
        """Of the view."""
        self.asked.append("images")
        return self.view.images()

    def fit(self, before: int = 0, after: int = 0) -> HeadFit:
        """Of the view."""
        self.asked.append("fit")
        return self.view.fit(before, after)

    def landmarks(self, before: int = 0, after: int = 0) -> Tensor:
        """Of the view."""
        self.asked.append("landmarks")
        return self.view.landmarks(before, after)
