"""What the tests of published systems share: a system's fixture of the shared goldens, and a copy with one change."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import nn

from tests.helpers import shared
from tests.parity.golden import Fixture, Golden


def fixture_of(name: str) -> Fixture:
    """The first seed's fixture; skips the test with the reason where the shared data is absent."""
    path = shared(f"golden/seed1/{name}.npz")
    return Fixture(Golden(path.parents[1]), name, 1, path)


def altered(fixture: Fixture, folder: Path, array: str, change: float) -> Fixture:
    """A copy of the fixture below `folder`, one number of one array changed, manifests and rule as they were."""
    golden = folder / "golden"
    (golden / "seed1").mkdir(parents=True)
    shutil.copyfile(fixture.golden.folder / "fill.py", golden / "fill.py")
    (folder / "manifests").symlink_to(fixture.golden.manifests)
    arrays = fixture.arrays()
    arrays[array].flat[arrays[array].size // 2] += change
    path = golden / "seed1" / fixture.path.name
    np.savez(path, **arrays)
    return Fixture(Golden(golden), fixture.name, 1, path)


def published_tensors(manifests: Mapping[str, str]) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype by name of every tensor of a system, from the manifest of each of its parts."""
    rows = {
        part: [line.split("\t") for line in shared(f"manifests/{manifest}.tsv").read_text().splitlines()]
        for part, manifest in manifests.items()
    }
    return {
        f"{part}.{key}": (tuple(int(n) for n in shape.split(",") if n), dtype)
        for part, lines in rows.items()
        for key, shape, dtype in lines
    }


def tensors_of(network: nn.Module) -> dict[str, tuple[tuple[int, ...], str]]:
    """The same of a network's state dict."""
    return {
        key: (tuple(value.shape), str(value.dtype).removeprefix("torch."))
        for key, value in network.state_dict().items()
    }
