"""Everything that the profile `voxceleb` imports, made up: the official files' names and forms, the goldens' numbers.

Two departures from the goldens' weight rule. The face detector is told to find one face, in the middle of frames of
256 px: with the rule alone it finds hundreds of faces without extent. ArcFace, whose layers are ONNX's business, is one
matrix. The heads are small spheres.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.stand_ins import EMBEDDING, write_onnx
from pipeline.released.systems import SYSTEMS
from pipeline.tools.weight_layouts import LAYOUTS
from tests.helpers import shared
from tests.parity.golden import Golden
from tests.released_files import golden_state, write_release
from tests.releases import bfm_variables, embedding_arrays, flame_arrays, write_embedding, write_flame, write_mat

# Asset -> name of its released file, and of the list of tensors that the weight rule's streams are named by.
TORCH = {
    "deca": ("deca_model.tar", "E_flame"),
    "deep3d": ("epoch_20.pth", "deep3d_net_recon"),
    "fan": ("2DFAN4-11f355bf06.pth.tar", "FAN4"),
    "s3fd": ("s3fd-619a316812.pth", "s3fd"),
    "inception": ("weights-inception-2015-12-05-6726825d.pth", "inception"),
    "lpips_alex": ("alexnet-owt-7be5be79.pth", "alexnet"),
    "vgg19": ("vgg19-dcbb9e9d.pth", "vgg19"),
}
SEED = 1


def released(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """Write the release of each asset in turn; gives its name and files. Skips the test without the shared data."""
    yield "flame", _flame(folder)
    yield "bfm", [write_mat(folder / "BFM_model_front.mat", bfm_variables())]
    for name, (file, stream) in TORCH.items():
        torch.save(_content(name, stream), folder / file)
        yield name, [folder / file]
    matrix = np.random.default_rng(SEED).standard_normal((3, EMBEDDING))
    write_onnx(folder / "w600k_r50.onnx", value=matrix)
    yield "arcface", [folder / "w600k_r50.onnx"]
    for name in SYSTEMS:
        yield name, write_release(folder / name, name, state=golden_state(name, SEED))


def _flame(folder: Path) -> list[Path]:
    arrays = flame_arrays()
    embedding = write_embedding(folder / "landmark_embedding.npy", embedding_arrays(arrays))
    return [write_flame(folder / "generic_model.pkl", arrays), embedding]


def _content(name: str, stream: str) -> dict:
    layout, fill = LAYOUTS[name], Golden(shared("golden")).fill
    kinds = {key: (tuple(wanted.shape), str(wanted.dtype)) for key, wanted in layout.tensors().items()}
    rows = [(key, shape, kind.removeprefix("torch.")) for key, (shape, kind) in kinds.items()]
    filled = fill.fill_state_dict(rows, SEED, stream)
    state = {key: torch.from_numpy(np.asarray(value)) for key, value in filled.items()}
    if name == "s3fd":
        _find_one_face(state)
    return {layout.part: state, "opt": {"state": {}}} if layout.part else state


def _find_one_face(state: dict[str, torch.Tensor]) -> None:
    """Let S3FD answer no at every scale but the largest, of four places in 256 px, and yes in the first one there.

    Its kernels look at the place above and to the left, which the first place does not have. The box that belongs to
    it is moved to the frame's middle and shrunk to half of its width.
    """
    for key, value in state.items():
        layer, kind = key.rpartition(".")[::2]
        if not layer.endswith(("_conf", "_loc")):
            continue
        coarsest = layer.startswith("conv7_2")
        if layer.endswith("_conf"):
            no, yes = value[:1].abs(), slice(1, 2)
            value.zero_()
            if kind == "weight" and coarsest:
                value[0, :, 0], value[0, :, :, 0] = no[0, :, 0], no[0, :, :, 0]
            elif kind == "bias":
                value[yes if coarsest else slice(0, 1)] = 4.0 if coarsest else 20.0
        elif coarsest:
            box = torch.tensor([1.25, 1.25, -3.5, -3.5])  # 64 px right and down, exp(-0.7) of 512 px
            value.copy_(box if kind == "bias" else value * 1e-6)
