"""Hashes and fingerprints: what a number was made from."""

import hashlib
import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from model.atomic import written_aside

ROOT = Path(__file__).resolve().parents[2]
VERSIONED = ("torch", "torchvision", "numpy", "pyarrow", "torchmetrics", "av", "decord", "dask", "dvc")


def sha256_file(path: Path) -> str:
    """Hash a file's bytes."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_text(*parts: object) -> str:
    """Hash values through their JSON form; equal values give equal hashes in every process."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(json.dumps(part, sort_keys=True, default=str).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def plain_path(path: Path) -> str:
    """A path for libraries that read addresses too: ffmpeg and Arrow take a relative `a:b/c` for a protocol."""
    return os.path.abspath(path)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, keys sorted, with a trailing newline."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text atomically."""
    with written_aside(path) as partial:
        partial.write_text(text)


def commit() -> str:
    """Short hash of the checked-out commit, or "unknown" outside a git repository."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Versions of Python, the processor's name and the packages that numbers depend on."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found
