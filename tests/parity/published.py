"""What the checks of published systems share: their weights by the folder's rule, images, and stored slices."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from tests.parity.compare import Output, compare
from tests.parity.golden import Fixture

FLOAT64_NOISE = 2  # times the fixture's own noise: what is left once our float32 is out of the comparison
INPUT_SLICE = (slice(4, None, 8), slice(4, None, 8))


def load(fixture: Fixture, network: nn.Module, manifests: Mapping[str, str]) -> None:
    """Fill a network by the folder's rule, strictly, and put it into inference mode.

    Args:
        fixture: of a seed.
        network: whose parts are filled.
        manifests: name of the manifest by part (attribute of the network).

    Raises:
        ValueError: its state dict is not the manifests'; the message names the first differences.
    """
    fill, own = fixture.golden.fill, network.state_dict()
    published, state = set(), {}
    for part, manifest in manifests.items():
        rows = fill.read_manifest(fixture.golden.manifests / f"{manifest}.tsv")
        published |= {(f"{part}.{key}", shape, dtype) for key, shape, dtype in rows}
        filled = fill.fill_state_dict(rows, fixture.seed, manifest)
        state |= {f"{part}.{key}": torch.from_numpy(np.asarray(value)) for key, value in filled.items()}
        # A constant of the architecture is not filled: the module's own value is put to the test.
        kept = [f"{part}.{key}" for key, _, _ in rows if fill.is_kept(manifest, key)]
        state |= {key: own[key] for key in kept if key in own}
    ours = {(key, tuple(value.shape), str(value.dtype).removeprefix("torch.")) for key, value in own.items()}
    if published != ours:
        names = "+".join(manifests.values())
        raise ValueError(
            f"{names}: only published {sorted(published - ours)[:3]}, only ours {sorted(ours - published)[:3]}"
        )
    network.load_state_dict(state, strict=True)
    network.eval()


def images(fixture: Fixture, names: list[str], px: int) -> tuple[list[Tensor], list[Output]]:
    """Draw input images by the rule, in [0, 1], and hold them to the stored slices."""
    golden, drawn, outputs = fixture.arrays(), [], []
    for name in names:
        img = torch.from_numpy(fixture.golden.fill.smooth_image(f"{fixture.name}/{name}", px, fixture.seed))
        drawn.append(img)
        outputs.append(compare(f"input {name}", img[(..., *INPUT_SLICE)], golden[f"input_{name}_sub"], 1e-6))
    return drawn, outputs


def stored_outputs(golden: Mapping[str, np.ndarray]) -> list[str]:
    """Names of the fixture's outputs: whatever has a tolerance."""
    return [name.removesuffix("_tolerance") for name in golden if name.endswith("_tolerance")]


def compare_all(golden: Mapping[str, np.ndarray], found: Mapping[str, Tensor], suffix: str = "") -> list[Output]:
    """Compare outputs in float32 or float64; `suffix` picks some of the fixture's, such as "_ac_true".

    Raises:
        ValueError: the fixture has an output that was not found, or the other way round.
    """
    wanted = {name for name in stored_outputs(golden) if name.endswith(suffix)}
    names = {f"{name}{suffix}": value for name, value in found.items()}
    if missing := wanted ^ set(names):
        raise ValueError(f"outputs that only one side has: {sorted(missing)}")
    return [output for name, value in names.items() for output in compare_output(golden, name, value)]


def compare_output(golden: Mapping[str, np.ndarray], name: str, found: Tensor) -> list[Output]:
    """Compare one output: all of it, or its stored slice with mean, deviation and extremes of the whole."""
    precise = found.dtype == torch.float64
    tolerance = FLOAT64_NOISE * float(golden[f"{name}_noise"]) if precise else float(golden[f"{name}_tolerance"])
    label = f"{name} in float64" if precise else name
    if name in golden:
        return [compare(label, found, golden[name], tolerance)]
    start, step = golden[f"{name}_slice"].tolist()
    axes = found.ndim - (golden[f"{name}_stats"].ndim - 1)  # how many the slice and the statistics run over
    part = found[(..., *[slice(start, None, step)] * axes)]
    flat = found.flatten(-axes).double()
    stats = torch.stack([flat.mean(-1), flat.std(-1, correction=0), flat.amin(-1), flat.amax(-1)], -1)
    return [
        compare(label, part, golden[f"{name}_sub"], tolerance),
        compare(f"{label}, statistics", stats, golden[f"{name}_stats"], golden[f"{name}_tolerance"]),
    ]
