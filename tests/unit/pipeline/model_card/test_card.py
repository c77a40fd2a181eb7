"""A card says what a model's files and the project show to be so, and no more."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML
from typer.testing import CliRunner

from model.method.files import save_model
from pipeline.cli import app
from pipeline.model_card.card import Place, model_card, model_folder
from pipeline.model_card.locked import Lock, md5_of
from pipeline.params.tree import Params, load_params
from pipeline.store.provenance import sha256_file
from pipeline.training.inputs import TrainInputs
from pipeline.training.run import row_provenance
from tests.helpers import ROOT
from tests.row_inputs import project_data
from tests.small_methods import small_network

ROW = "toy64.bumpy_sphere.nmfc"


def with_ema(params: Params, ema: float | None) -> Params:
    recipe = params.recipes["toy64"]
    changed = recipe.model_copy(update={"run": recipe.run.model_copy(update={"ema": ema})})
    return params.model_copy(update={"recipes": {"toy64": changed}})


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project with data and a model of one row."""
    monkeypatch.chdir(ROOT)  # the parameters name perceptual weights from there
    make_model(tmp_path, load_params(ROOT / "tests" / "data" / "small.yaml"))
    return tmp_path


def make_model(project: Path, params: Params) -> None:
    data = project / "data"
    shutil.rmtree(data, ignore_errors=True)
    head = project_data(data, turn=0.2)
    inputs = TrainInputs(
        clips=data / "clips" / "train",
        fits=data / "fits" / head.name / "train.parquet",
        head=data / "heads" / "bumpy_sphere.npz",
    )
    network = params.networks["toy64"].pwm
    provenance = row_provenance(ROW, "nmfc", params.recipes["toy64"], network, inputs, head)
    provenance["batch_statistics"] = {"of": "share", "pairs": 4}  # as `train_run` adds
    save_model(data / "models" / ROW, "pwm", small_network("pwm", head), head, 4, provenance)


def card_of(project: Path, params: Params | None) -> str:
    return model_card(project / "data" / "models" / ROW, Place(project, project / "data", params))


def test_a_card_has_data_recipe_terms_and_use(project):
    params = load_params(ROOT / "tests" / "data" / "small.yaml")
    card = card_of(project, params)
    assert card.startswith(f"# Model card: {ROW}\n")
    weights = project / "data" / "models" / ROW / "weights.safetensors"
    numbers = sum(value.numel() for value in torch_state(weights).values())
    assert f"| numbers | {numbers:,} in {weights.stat().st_size:,} bytes |" in card
    assert f"`{sha256_file(weights)}`" in card
    assert "| noise | 1 | 1 | 4 | not in params.yaml |" in card
    assert "normalised by the statistics of each process's own share: 4 pairs." in card
    assert "averaged | no" in card
    recipe = YAML(typ="safe").load(card.split("```yaml\n")[1].split("```")[0])
    assert recipe["recipe"] == params.recipes["toy64"].recorded()
    assert recipe["network"] == params.networks["toy64"].pwm.model_dump(mode="json")
    assert "Not known here: dvc.lock does not name these files." in card
    assert "None here: the stage `evaluate` has not scored this model." in card
    assert "| tracker | puppet_tracker | this project's own (MIT) |" in card
    assert "| head | bumpy_sphere | not known here |" in card
    for heading in ("Trained on", "Recipe", "Code", "Scores", "Licences", "Intended use and limits"):
        assert f"\n## {heading}\n" in card


def torch_state(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def test_a_card_says_whether_weights_are_an_average(project):
    make_model(project, with_ema(load_params(ROOT / "tests" / "data" / "small.yaml"), 0.999))
    assert "moving average of the generator, decay 0.999" in card_of(project, None)


def test_terms_of_imported_parts_are_those_of_the_table(project):
    path = project / "data" / "models" / ROW / "config.json"
    config = json.loads(path.read_text())
    config["head"]["name"] = "flame"
    config["provenance"]["network"]["perceptual"] |= {"backbone": "vgg19_first", "weights": "vgg19"}
    path.write_text(json.dumps(config))
    card = card_of(project, None)
    assert "| head | flame | MPI, non-commercial research; FLAME 2023 Open: CC BY 4.0 (" in card
    assert "| perceptual loss | vgg19_first | BSD-3-Clause (torchvision's VGG-19) |" in card


def test_what_other_files_say_is_not_taken_for_this_models(project):
    for path in ("clips/train/index.parquet", "fits/bumpy_sphere/train.parquet"):
        with (project / "data" / path).open("ab") as stream:
            stream.write(b"\0")
    card = card_of(project, None)
    assert "| noise |" not in card
    assert "What these clips show is not known here" in card
    assert "The fits are not here, or are others." in card


def test_dvcs_own_hash_of_a_folder(tmp_path):
    """DVC itself is the oracle."""
    for name in ("b.py", "a/z.py", "a/b/c.txt", "a-b", ".hidden/x"):
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text(name)
    for command in (["init", "-q", "--no-scm"], ["add", "-q", "out"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=tmp_path, check=True, capture_output=True)
    record = YAML(typ="safe").load((tmp_path / "out.dvc").read_text())
    assert md5_of(tmp_path / "out") == record["outs"][0]["md5"]


def test_the_lock_is_believed_only_where_its_hashes_are_those_of_now(project):
    model, results = project / "data" / "models" / ROW, project / "data" / "results" / ROW
    code = project / "pipeline" / "training"
    for folder in (results, code, code / "__pycache__"):
        folder.mkdir(parents=True)
    (results / "scores.parquet").write_bytes(b"x")
    (code / "run.py").write_text("1")

    def entry(path: Path) -> dict[str, str]:
        return {"path": path.relative_to(project).as_posix(), "md5": md5_of(path)}

    stages = {
        "train@x": {"deps": [entry(code)], "outs": [entry(model)]},
        "evaluate@x": {"deps": [entry(model)], "outs": [entry(results)]},
    }
    with (project / "dvc.lock").open("w") as stream:
        YAML().dump({"schema": "2.0", "stages": stages}, stream)
    lock = Lock(project)
    (code / "__pycache__" / "run.pyc").write_bytes(b"not code that DVC sees")
    assert lock.maker(model) == "train@x"
    assert lock.changed_code("train@x") == []
    assert lock.is_of(results, model)
    assert "Stage `train@x` of dvc.lock wrote these files" in card_of(project, None)
    assert "That is the code of the checkout below." in card_of(project, None)
    (code / "run.py").write_text("2")
    assert "Changed since: pipeline/training." in card_of(project, None)
    (results / "scores.parquet").write_bytes(b"others")
    assert not lock.is_of(results, model)
    (model / "config.json").write_text((model / "config.json").read_text() + "\n")
    assert lock.maker(model) is None
    assert lock.maker(Path("/elsewhere")) is None


def test_the_command_writes_the_card_of_a_row_or_of_a_folder(project):
    data = project / "data"
    small = ["--params", str(ROOT / "tests" / "data" / "small.yaml"), "--data", str(data)]
    done = CliRunner().invoke(app, ["model", "card", ROW, *small])
    assert done.exit_code == 0, done.output
    assert done.stdout == model_card(
        data / "models" / ROW, Place(Path(), data, load_params(ROOT / "tests" / "data" / "small.yaml"))
    )
    out = project / "card.md"
    done = CliRunner().invoke(app, ["model", "card", str(data / "models" / ROW), "--out", str(out), *small])
    assert done.exit_code == 0, done.output
    assert out.read_text().startswith(f"# Model card: {ROW}")
    done = CliRunner().invoke(app, ["model", "card", "nobody", *small])
    assert done.exit_code == 2
    assert model_folder("nobody", data) == data / "models" / "nobody"
