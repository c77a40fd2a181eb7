"""A folder of golden fixtures: what published code computed from deterministic inputs (its README says how)."""

import runpy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np

GEOMETRY = "geometry"
FIRST_SEED = 1


@dataclass(frozen=True)
class Golden:
    """The folder; manifests of state dicts lie in `manifests` beside it."""

    folder: Path

    @property
    def manifests(self) -> Path:
        """Where `NAME.tsv` lists key, shape and dtype of every tensor of a network."""
        return self.folder.parent / "manifests"

    @property
    def seeds(self) -> list[int]:
        """Seeds of the folder's `seedN` folders."""
        names = [path.name.removeprefix("seed") for path in self.folder.glob("seed*") if path.is_dir()]
        return sorted(int(name) for name in names if name.isdigit())

    @property
    def fill(self) -> SimpleNamespace:
        """The folder's own `fill.py`: the rule of weights and input images."""
        return _load_rule(self.folder / "fill.py")


@dataclass(frozen=True)
class Fixture:
    """One fixture: a file, or a folder that is no set of fixtures.

    Attributes:
        golden: where it lies.
        name: "fomm" for a network's, "geometry/deep3d" for one of `geometry/`.
        seed: of a network's weights and inputs; None elsewhere.
        path: the file.
    """

    golden: Golden
    name: str
    seed: int | None
    path: Path

    def arrays(self) -> dict[str, np.ndarray]:
        """All its arrays."""
        with np.load(self.path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}

    def image_seeds(self) -> list[int]:
        """Seeds that may have drawn the input images: a geometry fixture does not say which."""
        return [self.seed] if self.seed is not None else sorted({FIRST_SEED, *self.golden.seeds})

    def image_u8(self, name: str, height: int, width: int, seed: int) -> np.ndarray:
        """The rule's smooth image, drawn at the longer side, cut to (height, width, 3) and rounded to uint8."""
        img = self.golden.fill.smooth_image(name, max(height, width), seed)[0]
        return (img.transpose(1, 2, 0)[:height, :width] * 255).round().astype(np.uint8)


def fixtures_of(golden: Golden) -> list[Fixture]:
    """Every fixture of the folder: of `geometry/`, of each `seedN/`, then other folders.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no fixtures.
    """
    folder = golden.folder
    if not folder.is_dir():
        raise FileNotFoundError(f"no golden fixtures at {folder}: name their folder, as in `make parity GOLDEN=FOLDER`")
    found = [
        Fixture(golden, f"{GEOMETRY}/{path.stem}", None, path) for path in sorted(folder.glob(f"{GEOMETRY}/*.npz"))
    ]
    for seed in golden.seeds:
        found += [Fixture(golden, path.stem, seed, path) for path in sorted(folder.glob(f"seed{seed}/*.npz"))]
    if not found:
        raise ValueError(f"{folder} is not in the goldens' form: it has neither seed*/*.npz nor {GEOMETRY}/*.npz")
    sets = {GEOMETRY, "__pycache__", *(f"seed{seed}" for seed in golden.seeds)}
    others = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name not in sets]
    return found + [Fixture(golden, path.name, None, path) for path in others]


@cache
def _load_rule(path: Path) -> SimpleNamespace:
    if not path.is_file():
        raise FileNotFoundError(f"no {path}: the fixtures' input images follow its rule")
    return SimpleNamespace(**runpy.run_path(str(path)))  # not an import: that would write beside the fixtures
