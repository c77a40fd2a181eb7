"""Models of published systems are taken over where they are of the file that is imported now."""

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from torch import Tensor
from typer.testing import CliRunner

from pipeline.adoption.models import check_published
from pipeline.cli import app
from pipeline.methods.release import OFFICIAL
from pipeline.params.tree import load_params
from pipeline.published.models import Workshop
from pipeline.released.systems import layout
from tests.asset_folder import project_with_assets
from tests.helpers import ROOT
from tests.released_files import make_small, write_release


@pytest.fixture(autouse=True)
def _small_networks(monkeypatch):
    make_small(monkeypatch)
    yield
    layout.cache_clear()


def bring(release: Path, name: str) -> None:
    files = write_release(release, name)
    done = CliRunner().invoke(app, ["assets", "import", name, *map(str, files)])
    assert done.exit_code == 0, done.output


def change_one(file: Path, name: str, value: Tensor) -> None:
    save_file({**load_file(file), name: value}, file)


def test_a_released_model_is_taken_over_while_its_file_is_the_one_on_record(tmp_path, monkeypatch):
    project_with_assets(monkeypatch, tmp_path / "project")
    params, data = load_params(ROOT / "params.yaml"), tmp_path / "data"
    params = params.model_copy(update={"bench": params.bench.model_copy(update={"baselines": [OFFICIAL]})})
    made = Workshop(params, data)
    folder = data / "models" / "fomm"
    with pytest.raises(FileNotFoundError, match="run the stages `baseline` and `evaluate` for fomm"):
        check_published(params, "fomm", data)
    made.write_models("fomm", folder)
    check_published(params, "fomm", data)  # without a model, for the reason that holds now
    bring(tmp_path / "release", "fomm")
    with pytest.raises(ValueError, match="rows.json: its rows is .*no weights"):
        check_published(params, "fomm", data)
    made.write_models("fomm", folder)
    check_published(params, "fomm", data)
    (folder / OFFICIAL / "weights.safetensors").write_bytes(b"cut short")
    with pytest.raises(ValueError, match=r"fomm/official/weights.safetensors does not fit its config.json"):
        check_published(params, "fomm", data)
    made.write_models("fomm", folder)
    name, value = sorted(load_file(folder / OFFICIAL / "weights.safetensors").items())[0]
    change_one(folder / OFFICIAL / "weights.safetensors", name, value + 1)
    with pytest.raises(ValueError, match=rf"fomm/official: its {name} is not that of the imported file, nor are 0"):
        check_published(params, "fomm", data)
