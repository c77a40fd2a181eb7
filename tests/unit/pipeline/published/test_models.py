"""Models of published systems: which rows their sources give, and why some have no numbers."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from model.method.files import read_config
from pipeline.cli import app
from pipeline.method_table import BASELINES, RETRAINED
from pipeline.methods.published import PublishedRow, read_rows
from pipeline.methods.release import OFFICIAL
from pipeline.params.tree import Params, load_params
from pipeline.published.models import Workshop
from pipeline.released.systems import layout
from stages import baseline
from tests.asset_folder import project_with_assets
from tests.helpers import ROOT
from tests.released_files import make_small, write_release

PARAMS = load_params(ROOT / "params.yaml")


@pytest.fixture(autouse=True, scope="module")
def _small_networks():
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        yield
    layout.cache_clear()


@pytest.fixture
def assets(tmp_path, monkeypatch) -> Path:
    return project_with_assets(monkeypatch, tmp_path / "project")


def of_bench(params: Params = PARAMS, **changes: object) -> Params:
    return params.model_copy(update={"bench": params.bench.model_copy(update=changes)})


def rows_of(system: str, out: Path, params: Params) -> list[PublishedRow]:
    Workshop(params, out / "nowhere", "cpu").write_models(system, out)
    return read_rows(out)


@pytest.mark.parametrize("system", [name for name in BASELINES if name not in RETRAINED])
def test_without_its_file_a_system_leaves_the_reason(system, assets, tmp_path):
    (row,) = rows_of(system, tmp_path / "models", of_bench(baselines=[OFFICIAL]))
    assert row.absent.startswith(f"{system}: no weights; get ")
    assert f"`pwm assets import {system} " in row.absent
    assert not (tmp_path / "models" / OFFICIAL).exists()


def test_what_the_paper_trained_anew_is_trained_whatever_is_asked_for(assets, tmp_path):
    recipe = PARAMS.bench.recipe
    (row,) = Workshop(of_bench(baselines=[OFFICIAL]), tmp_path).rows("headgan")
    assert row == PublishedRow(recipe)
    released, trained = Workshop(of_bench(baselines=[OFFICIAL, recipe]), tmp_path).rows("headgan")
    assert (released.source, trained) == (OFFICIAL, PublishedRow(recipe))
    assert released.absent.startswith("headgan: no weights")
    assert Workshop(of_bench(baselines=[]), tmp_path).rows("headgan") == []
    files = write_release(tmp_path / "release", "headgan")
    assert CliRunner().invoke(app, ["assets", "import", "headgan", *map(str, files)]).exit_code == 0
    released, _ = Workshop(of_bench(baselines=[OFFICIAL, recipe]), tmp_path).rows("headgan")
    assert "LSFM" in released.absent


@pytest.mark.parametrize("system", [name for name in BASELINES if name not in RETRAINED])
@pytest.mark.parametrize("own_crops", [True, False])
def test_an_imported_system_becomes_a_model_with_its_rows(system, own_crops, assets, tmp_path):
    files = write_release(tmp_path / "release", system)
    done = CliRunner().invoke(app, ["assets", "import", system, *map(str, files)])
    assert done.exit_code == 0, done.output
    bench = {"baselines": [OFFICIAL], "own_crops": own_crops, "head": "flame", "head2": "bfm"}
    fit = PARAMS.fit.model_copy(update={"tracker": "deca", "second_tracker": "deep3d"})
    params = of_bench(**bench).model_copy(update={"fit": fit})
    first, *others = rows_of(system, tmp_path / "models", params)
    assert (first.source, first.own_crop, first.absent) == (OFFICIAL, False, "")
    assert first.notes
    assert [row.folder for row in others] == [f"{OFFICIAL}/own_crop"] * (own_crops and system in ("bilayer", "lsr"))
    config = read_config(tmp_path / "models" / OFFICIAL)
    assert (config["method"], config["made"], config["head"]) == (system, OFFICIAL, None)
    assert config["provenance"]["system"] == system


def test_pirender_says_what_a_profile_lacks(assets, tmp_path):
    files = write_release(tmp_path / "release", "pirender")
    assert CliRunner().invoke(app, ["assets", "import", "pirender", *map(str, files)]).exit_code == 0
    (row,) = rows_of("pirender", tmp_path / "models", of_bench(baselines=[OFFICIAL]))
    assert row.absent.endswith("of head bfm, and clips are fitted with puppet and puppet_face here")


def test_what_is_not_taught_here_says_so(assets, tmp_path):
    recipe = PARAMS.bench.recipe
    networks = {recipe: PARAMS.networks[recipe].model_copy(update={"x2face": None})}
    params = of_bench(baselines=[recipe]).model_copy(update={"networks": networks})
    (row,) = rows_of("x2face", tmp_path / "models", params)
    assert row == PublishedRow(recipe, absent=f"it is not trained here: networks.{recipe} has no x2face")


@pytest.mark.parametrize(
    ("options", "env", "every"),
    [((), {}, 0), ((), {"PWM_PREVIEWS": "7"}, 7), (("--previews-every", "3"), {"PWM_PREVIEWS": "7"}, 3)],
)
def test_pictures_of_a_training_are_asked_for_as_of_any_row(options, env, every, tmp_path, monkeypatch):
    trained, recipe = [], PARAMS.bench.recipe
    monkeypatch.setattr("pipeline.training.row.train_seeds", lambda *_, **more: trained.append(more))
    monkeypatch.setattr(baseline, "load_params", lambda _path: of_bench(baselines=[recipe]))
    stage = typer.Typer()
    stage.command()(baseline.main)
    arguments = ["--system", "headgan", "--out", str(tmp_path), "--device", "cpu", *options]
    done = CliRunner().invoke(stage, arguments, env=env)
    assert done.exit_code == 0, done.output
    assert [more["previews_every"] for more in trained] == [every]


def test_an_unknown_system_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(ValueError, match="no published system 'nobody': there are x2face, bilayer"):
        rows_of("nobody", tmp_path, PARAMS)
