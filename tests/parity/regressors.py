"""The trackers' networks: the published tensors by name, shape and type, and the same function of them."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from model.trackers.deca import DecaEncoder
from model.trackers.deep3d import Deep3dRegressor
from tests.parity.compare import Output, compare
from tests.parity.golden import Fixture

FLOAT64_NOISE = 2  # times the fixture's own noise: what is left once our float32 is out of the comparison


def load(fixture: Fixture, manifest: str, network: nn.Module) -> nn.Module:
    """Fill a network by the folder's rule, strictly, and put it into inference mode; what the rule keeps is its own.

    Raises:
        ValueError: its state dict is not the manifest's; the message names the first differences.
    """
    fill = fixture.golden.fill
    rows = fill.read_manifest(fixture.golden.manifests / f"{manifest}.tsv")
    published = {(key, shape, dtype) for key, shape, dtype in rows}
    ours = {
        (key, tuple(value.shape), str(value.dtype).removeprefix("torch."))
        for key, value in network.state_dict().items()
    }
    if published != ours:
        raise ValueError(
            f"{manifest}: only published {sorted(published - ours)[:3]}, only ours {sorted(ours - published)[:3]}"
        )
    state = fill.fill_state_dict(rows, fixture.seed, manifest)
    filled = {key: torch.from_numpy(np.asarray(value)) for key, value in state.items()}
    own = {key: value for key, value in network.state_dict().items() if fill.is_kept(manifest, key)}
    network.load_state_dict({**filled, **own}, strict=True)
    return network.eval()


@torch.no_grad()
def regressed(fixture: Fixture, manifest: str, build: Callable[[], nn.Module], output: str) -> list[Output]:
    """Compare a tracker's network: input, output in float32, and in float64."""
    golden = fixture.arrays()
    network = load(fixture, manifest, build())
    name = f"{fixture.name}/image"
    img = torch.from_numpy(fixture.golden.fill.smooth_image(name, 224, fixture.seed))
    noise = FLOAT64_NOISE * float(golden[f"{output}_noise"])
    found = network(img)
    precise = network.double()(img.double())
    return [
        compare("input", img[:, :, 4::8, 4::8], golden["input_image_sub"], 1e-6),
        compare(output, found, golden[output], golden[f"{output}_tolerance"]),
        compare(f"{output} in float64", precise, golden[output], noise),
    ]


def check_deca(fixture: Fixture) -> list[Output]:
    """DECA's coarse encoder."""
    return regressed(fixture, "E_flame", DecaEncoder, "parameters")


def check_deep3d(fixture: Fixture) -> list[Output]:
    """Deep3DFaceRecon's regressor."""
    return regressed(fixture, "deep3d_net_recon", Deep3dRegressor, "coeffs")
