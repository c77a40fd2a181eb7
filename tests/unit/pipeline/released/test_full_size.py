"""Full-size files under the published names, filled by the goldens' weight rule: names that are not our networks'."""

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.released.normalised import load_released
from pipeline.released.systems import SYSTEMS
from tests.asset_folder import project_with_assets
from tests.released_files import golden_state, write_release


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_every_published_tensor_arrives_in_the_network(name, tmp_path, monkeypatch):
    assets = project_with_assets(monkeypatch, tmp_path / "project")
    state = golden_state(name)
    files = write_release(tmp_path / "release", name, state=state)
    done = CliRunner().invoke(app, ["assets", "import", name, *map(str, files)])
    assert done.exit_code == 0, done.output
    found = load_released(name, assets / f"{name}.safetensors").state_dict()
    if name == "lsr":
        from model.baselines.lsr.names import torch_state

        state = torch_state({key: np.asarray(value) for key, value in state.items()})
    assert set(found) == set(state)
    for key, value in state.items():
        assert torch.equal(found[key], value), key
