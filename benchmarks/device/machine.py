"""What a bare machine has and lacks. Nothing but the standard library is imported here: this runs first."""

import importlib.util
import os
import platform
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

# What the paths of `benchmarks.device` import, by module, with the name of its package.
NEEDED: Mapping[str, str] = {
    "torch": "torch",
    "numba": "numba",
    "numpy": "numpy",
    "pyarrow": "pyarrow",
    "cv2": "opencv-python-headless",
    "safetensors": "safetensors",
    "typer": "typer",
    "pydantic": "pydantic",
    "ruamel.yaml": "ruamel.yaml",
}


def bring(wheels: Path, site: Path) -> None:
    """Unpack the wheels that were brought along, and let this process and its children find what is in them.

    Args:
        wheels: folder of wheels for this machine's Python; it need not exist.
        site: where they are unpacked, once each.
    """
    for wheel in sorted(wheels.glob("*.whl")):
        done = site / f".{wheel.name}"
        if not done.exists():
            site.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(wheel) as file:
                file.extractall(site)
            done.touch()
    if site.is_dir():
        sys.path.insert(0, str(site.resolve()))
        os.environ["PYTHONPATH"] = os.pathsep.join([str(site.resolve()), *os.environ.get("PYTHONPATH", "").split()])


def missing() -> list[str]:
    """Packages that are needed and cannot be found."""
    return [package for module, package in NEEDED.items() if not _found(module)]


def how_to_bring(packages: list[str], wheels: Path) -> str:
    """The message for a machine that lacks some."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return (
        f"this machine's Python ({sys.executable}) has no {', '.join(packages)}: bring wheels along in {wheels} "
        f"(where there is a network: pip download --only-binary=:all: --python-version {python} "
        f"-d {wheels} {' '.join(packages)})"
    )


def described() -> dict[str, object]:
    """Device and versions, for whoever reads the numbers."""
    import torch

    from benchmarks.timing import processor
    from pipeline.store.provenance import commit, versions

    there = torch.cuda.is_available()
    gpu = torch.cuda.get_device_properties(0) if there else None
    return {
        "commit": commit(),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "cuda": torch.version.cuda if there else None,
        "cudnn": torch.backends.cudnn.version() if there else None,
        "gpu": f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB" if gpu else None,
        "system": platform.platform(),
        "versions": versions(),
    }


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package that a submodule would be in
        return False
