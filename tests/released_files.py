"""Files as published systems are released, in miniature: true names and shapes, and numbers that follow a rule.

Long tensors repeat one number that belongs to their name (and are stored as one number); short ones count up from it.
"""

import pickle
import struct
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.released.systems import SYSTEMS, layout
from tests.helpers import shared
from tests.parity.golden import Golden
from tests.tf_checkpoints import write_checkpoint

SHORT = 600  # numbers up to which a tensor's differ
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def filled(key: str, shape: tuple[int, ...], kind: str) -> torch.Tensor:
    """The tensor of a name."""
    if kind == "int64":
        return torch.zeros(shape, dtype=torch.int64)
    start = zlib.crc32(key.encode()) / 2**32
    count = torch.Size(shape).numel()
    if count <= SHORT:
        return (start + torch.arange(count) / SHORT).reshape(shape)
    return torch.full((1,) * len(shape), start).expand(shape)


def filled_state(name: str, variant: str = "") -> dict[str, torch.Tensor]:
    """All tensors of a system, `part.key`."""
    return {key: filled(key, *kind) for key, kind in layout(name, variant).items()}


# Settings that make each system's network small: all of the same layers, next to no numbers.
SMALL: dict[str, dict[str, Any]] = {
    "fomm": {"kp_width": 2, "kp_largest": 8, "motion_width": 2, "motion_largest": 8, "width": 4, "largest": 8},
    "fomm3d": {
        "kp_width": 2, "kp_largest": 8, "motion_width": 2, "motion_largest": 8, "width": 16, "largest": 32,
        "pose_width": 4, "compress": 2, "spade_hidden": 4, "depth": 4,
    },
    "pirender": {"descriptor": 8, "warp_channels": 4, "warp_max": 8, "edit_channels": 4, "edit_max": 8},
    "x2face": {"width": 2, "bottleneck": 3},
    "headgan": {"channels": 4, "hidden": 8},
    "bilayer": {
        "embedded_channels": (4, 8), "inference_channels": (4, 8), "pose_channels": 8, "enhancer_channels": (4, 8),
        "enhancer_blocks": 1,
    },
    "lsr": {"channels": 4, "most": 8, "style": 8, "spade_hidden": 4},
}  # fmt: skip


# The published lists of tensors (shared manifests) of each part.
MANIFESTS = {
    "fomm": {"generator": "vox_256_generator", "kp_detector": "vox_256_kp_detector"},
    "fomm3d": {
        "generator": "fv2v_generator_spade", "kp_detector": "fv2v_kp_detector", "he_estimator": "fv2v_he_estimator",
    },
    "pirender": {"generator": "pirender_net_G_ema"},
    "x2face": {"unwrapped": "x2face_pix2pixUnwrapped", "sampler": "x2face_pix2pixSampler"},
    "headgan": {"generator": "headgan_net_G_noaudio"},
    "bilayer": {part: f"bilayer_{part}" for part in SYSTEMS["bilayer"].parts},
    "lsr": {"": "lsr_tf_checkpoint"},
}  # fmt: skip


def golden_state(name: str, seed: int = 1) -> dict[str, torch.Tensor]:
    """A system's tensors in full, by the rule of the goldens: published names, `part.key` (LSR's are TensorFlow's).

    Skips the test where the shared data is absent.
    """
    golden, state = Golden(shared("golden")), {}
    for part, manifest in MANIFESTS[name].items():
        rows = golden.fill.read_manifest(golden.manifests / f"{manifest}.tsv")
        filled = golden.fill.fill_state_dict(rows, seed, manifest)
        kept = [row for row in rows if row[0] not in filled]  # constants of the architecture, which files hold too
        filled |= {key: filled_array(key, shape, kind) for key, shape, kind in kept}
        state |= {f"{part}.{key}" if part else key: torch.from_numpy(np.asarray(v)) for key, v in filled.items()}
    return state


def filled_array(key: str, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """`filled` as an array."""
    return filled(key, shape, kind).contiguous().numpy()


def make_small(patch: pytest.MonkeyPatch) -> None:
    """Let every system be its small network for a test: what is released follows from the networks."""
    for name, system in SYSTEMS.items():
        variants = {variant: {**SMALL[name], **settings} for variant, settings in system.variants.items()}
        patch.setitem(SYSTEMS, name, replace(system, variants=variants))
    layout.cache_clear()


def part_of(state: Mapping[str, torch.Tensor], part: str) -> dict[str, torch.Tensor]:
    """One part's tensors by their own names."""
    return {key.removeprefix(f"{part}."): value for key, value in state.items() if key.startswith(f"{part}.")}


def adam(state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """An optimiser's state, as releases of training hold it."""
    moments = {
        i: {"step": 7, "exp_avg": torch.zeros(3), "exp_avg_sq": torch.zeros(3)} for i in range(min(3, len(state)))
    }
    return {"state": moments, "param_groups": [{"lr": 2e-4, "betas": (0.5, 0.999), "params": list(moments)}]}


def contents(name: str, variant: str = "", state: Mapping[str, torch.Tensor] | None = None) -> dict[str, Any]:
    """File name -> what `torch.save` was given for it, of each system of torch."""
    state = filled_state(name, variant) if state is None else state
    parts = {part: part_of(state, part) for part in SYSTEMS[name].parts}
    if name == "x2face":
        both = {f"pix2pixUnwrapped.{key}": value for key, value in parts["unwrapped"].items()}
        both |= {f"pix2pixSampler.{key}": value for key, value in parts["sampler"].items()}
        old = OrderedDict((key, value) for key, value in both.items() if not key.endswith("num_batches_tracked"))
        return {"x2face_model.pth": {"state_dict": old, "optimizer": adam(old), "epoch": 3}}
    if name == "pirender":
        net = OrderedDict(parts["generator"])
        average = {"net_G_ema": net, "net_G": {f"module.{key}": torch.zeros(1) for key in net}}
        schedule = {"step_size": 200, "gamma": 0.2, "base_lrs": [1e-4], "last_epoch": 9}
        return {"epoch_00190_iteration_000400000_checkpoint.pt": {**average, "opt_G": adam(net), "sch_G": schedule}}
    if name == "headgan":
        return {"latest_net_G.pth": OrderedDict(parts["generator"])}
    if name == "bilayer":
        runs = dict.fromkeys(parts, "2225") | {"texture_enhancer": "1225"}
        return {f"{runs[part]}_{part}.pth": OrderedDict(own) for part, own in parts.items()}
    file = {"fomm": "vox-cpk.pth.tar", "fomm3d": "00000189-checkpoint.pth.tar"}[name]
    judge = {"discs.1.down_blocks.0.conv.weight_orig": torch.ones(1).expand(64, 3, 4, 4)}
    return {file: {**parts, "discriminator": judge, "optimizer_generator": adam(parts["generator"]), "epoch": 99}}


def lsr_arrays(arrays: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """LSR's variables by TensorFlow's names, with what training keeps beside them."""
    from model.baselines.lsr.names import AXES, SLOT, SUFFIX, tensorflow_name

    if arrays is None:
        arrays = {}
        for key, value in filled_state("lsr").items():
            axes = AXES.get(value.ndim, tuple(range(value.ndim)))
            arrays[tensorflow_name(key)] = value.numpy().transpose(np.argsort(axes))
    first = next(iter(arrays)).removesuffix(SUFFIX)
    beside = {
        f"{first}{SLOT}optimizer/m{SUFFIX}": np.zeros(4, np.float32),
        f"discriminator/conv/kernel{SUFFIX}": np.ones((2, 2), np.float32),
        f"global_step{SUFFIX}": np.array(64, np.int64),
    }
    return {**arrays, **beside}


# How the torch of each release stored files: before 1.6 as a stream of pickles, of Python 2 in torch 0.2.
def write(path: Path, name: str, content: Any) -> None:
    """Write one file as its system's release is written."""
    if name == "x2face":
        write_torch_02(path, content)
    else:
        torch.save(content, path, _use_new_zipfile_serialization=name not in ("fomm", "bilayer"))


def write_release(
    folder: Path, name: str, variant: str = "", state: Mapping[str, torch.Tensor] | None = None
) -> list[Path]:
    """Write the files of a system into a folder; of LSR the folder itself is the release."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "lsr":
        arrays = None if state is None else {key: value.numpy() for key, value in state.items()}
        write_checkpoint(folder / "ckpt-64", lsr_arrays(arrays))
        return [folder]
    written = []
    for file, content in contents(name, variant, state).items():
        write(folder / file, name, content)
        written.append(folder / file)
    return written


def write_torch_02(path: Path, content: Any, device: str = "cuda") -> None:
    """Write what torch 0.2 under Python 2 wrote: text as bytes, tensors on the GPU, no counters of storages' users."""
    storages: dict[str, torch.Tensor] = {}
    with path.open("wb") as stream:
        system = {"protocol_version": _PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 8}}
        for start in (_MAGIC, _PROTOCOL, system):
            _Python2Pickler(stream, storages, device).dump(start)
        _Python2Pickler(stream, storages, device).dump(content)
        keys = sorted(storages)
        _Python2Pickler(stream, storages, device).dump(keys)
        for key in keys:
            flat = storages[key]
            stream.write(struct.pack("<q", len(flat)) + flat.numpy().tobytes())


class _Named:
    """A name that the pickle asks for: written as such, never looked up here."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _StorageOf:
    def __init__(self, flat: torch.Tensor) -> None:
        self.flat = flat


class _Python2Pickler(pickle._Pickler):  # the one in Python, whose steps can be replaced
    def __init__(self, stream: Any, storages: dict[str, torch.Tensor], device: str) -> None:
        super().__init__(stream, protocol=2)
        self.storages, self.device = storages, device

    def persistent_id(self, given: Any) -> tuple | None:
        if not isinstance(given, _StorageOf):
            return None
        key = str(1000 + len(self.storages))
        self.storages[key] = given.flat
        module = "torch.cuda" if self.device == "cuda" else "torch"
        return ("storage", _Named(module, "FloatStorage"), key, f"{self.device}:0", len(given.flat), None)

    def save(self, given: Any, save_persistent_id: bool = True) -> None:
        if isinstance(given, str):
            text = given.encode("latin1")
            short = len(text) < 256
            self.write((b"U" + bytes([len(text)]) if short else b"T" + struct.pack("<i", len(text))) + text)
        elif isinstance(given, _Named):
            self.write(f"c{given.module}\n{given.name}\n".encode())
        elif isinstance(given, OrderedDict):
            self._call(_Named("collections", "OrderedDict"), ([[key, value] for key, value in given.items()],))
        elif isinstance(given, torch.Tensor):
            flat = given.as_strided(
                (1 + sum((n - 1) * s for n, s in zip(given.shape, given.stride(), strict=True)),), (1,)
            )
            arguments = (_StorageOf(flat), 0, tuple(given.shape), tuple(given.stride()))
            self._call(_Named("torch._utils", "_rebuild_tensor"), arguments)
        else:
            super().save(given, save_persistent_id)

    def _call(self, function: _Named, arguments: tuple) -> None:
        self.save(function)
        self.save(arguments)
        self.write(pickle.REDUCE)
