"""What is asked of every published network alike, whatever its signals."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from model.method.network import Made, Network
from tests.helpers import shared
from tests.parity.checks import CHECKS
from tests.parity.golden import Golden
from tests.parity.run import run

Signals = dict[str, Tensor]


def drawn_inputs(network: Network, shapes: dict[str, tuple[int, ...]], count: int = 2) -> tuple[Tensor, Signals]:
    """Sources and signals of uniform noise in [0, 1]."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator)

    return draw(3, network.native_px, network.native_px), {name: draw(*shape) for name, shape in shapes.items()}


def lively(network: nn.Module, scales_itself: bool = False) -> nn.Module:
    """Parameters large enough that every branch shows in the output; inference mode.

    A network that `scales_itself` divides its weights by their number of inputs when it uses them.
    """
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        spread = 1.0 if scales_itself else (2 / max(parameter[0].numel(), 1)) ** 0.5
        spread = spread if parameter.ndim > 1 else 0.2
        parameter.data = torch.randn(parameter.shape, generator=generator) * spread
    return network.eval()


def assert_two_are_twice_one(network: Network, source: Tensor, signals: Signals) -> None:
    """A batch of two is two single calls, in float64 to last digits, in inference mode; inputs stay as they are."""
    network.double()
    source, signals = source.double(), {name: value.double() for name, value in signals.items()}
    before = [source.clone(), *(value.clone() for value in signals.values())]
    with torch.inference_mode():
        both = network(source, signals)
        for i in range(2):
            one = network(source[i : i + 1], {name: value[i : i + 1] for name, value in signals.items()})
            assert_close(one, both, i)
    assert all(torch.equal(old, new) for old, new in zip(before, [source, *signals.values()], strict=True))
    assert (both.image[0] - both.image[1]).abs().max() > 1e-3


def assert_close(one: Made, both: Made, i: int) -> None:
    """Item i of a batch is what was made of it alone."""
    assert one.image.shape == both.image[i : i + 1].shape
    torch.testing.assert_close(one.image[0], both.image[i], rtol=0, atol=1e-9)
    assert one.panels.keys() == both.panels.keys()
    for name, panel in one.panels.items():
        torch.testing.assert_close(panel[0], both.panels[name][i], rtol=0, atol=1e-9)


def without_gradient(network: nn.Module, source: Tensor, signals: Signals) -> set[str]:
    """Names of parameters that the sum of the squared image does not reach."""
    made = network(source, signals)
    made.image.square().sum().backward()
    return {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().max() > 0
    }


def published_tensors(manifest: str, part: str) -> dict[str, tuple[int, ...]]:
    """Shapes that the manifest lists, by our name: `part` before the official key."""
    rows = Golden(shared("golden")).fill.read_manifest(shared(f"manifests/{manifest}.tsv"))
    return {f"{part}.{key}": shape for key, shape, _ in rows}


def tensors_of(build: Callable[[], nn.Module]) -> dict[str, tuple[int, ...]]:
    """Shapes of a network's state, without the memory for it."""
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in build().state_dict().items()}


def parity_of(name: str, folder: Path, altered: bool) -> tuple[str, str]:
    """Verdict and note of one golden fixture, copied to FOLDER; altered: every stored output moved in one place."""
    source, golden = shared("golden"), folder / "golden"
    (golden / "seed1").mkdir(parents=True)
    (golden / "fill.py").write_bytes((source / "fill.py").read_bytes())
    (folder / "manifests").symlink_to(shared("manifests"))
    with np.load(source / "seed1" / f"{name}.npz") as stored:
        arrays = dict(stored)
    if altered:
        tolerances = {key.removesuffix("_tolerance"): value for key, value in arrays.items() if "_tolerance" in key}
        for key, tolerance in tolerances.items():
            for stored_as in (key, f"{key}_sub", f"{key}_stats"):
                if stored_as in arrays:
                    arrays[stored_as].flat[3] += 30 * tolerance
    np.savez(golden / "seed1" / f"{name}.npz", **arrays)
    (line,) = run(golden, {name: CHECKS[name]})
    return line.verdict, line.note
