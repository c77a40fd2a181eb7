"""A project folder of a test's own: its assets, and the record that says which files they are."""

from pathlib import Path

import pytest

from pipeline.tools.assets import record


def project_with_assets(patch: pytest.MonkeyPatch, folder: Path, assets: Path | None = None) -> Path:
    """Work in `folder`, take assets from `assets` (its own where none are given), and record what lies there."""
    folder.mkdir(parents=True, exist_ok=True)
    found = assets or folder / "assets"
    patch.chdir(folder)
    patch.setenv("PWM_ASSETS", str(found))
    record([])
    return found
