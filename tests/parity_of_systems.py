"""What the tests of published systems share: a system's fixture of the shared goldens, and a copy with one change."""

import shutil
from pathlib import Path

import numpy as np

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
