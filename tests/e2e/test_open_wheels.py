"""The real wheels, by the real pip: their hashes are the pinned ones, and their files become what networks load."""

import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.fetching.table import OPEN
from pipeline.store.assets import require

pytestmark = pytest.mark.slow


def test_all_open_assets_come_from_their_wheels_and_are_as_recorded(open_assets, monkeypatch):
    monkeypatch.chdir(open_assets)
    monkeypatch.setenv("PWM_ASSETS", str(open_assets / "assets"))
    assert CliRunner().invoke(app, ["assets", "verify"]).exit_code == 0
    for wheel in OPEN.values():
        for file in wheel.files:
            path = require(file.asset)
            assert path.with_name(f"{path.name}.LICENSE").stat().st_size > 0
            if file.converter:
                assert sum(tensor.numel() for tensor in load_file(path).values()) > 4e6
