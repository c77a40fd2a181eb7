"""Training a row from files: what the recipe says reaches the run."""

import csv
import json
import shutil

import pytest
import torch

from model.heads.head import load_head
from model.method.files import read_config
from pipeline.adoption.models import check_published, check_row
from pipeline.method_table import BASELINES
from pipeline.params.tree import load_params
from pipeline.published.models import Workshop
from pipeline.report.rows import Row
from pipeline.store import closure
from pipeline.store.closure import SourceTree
from pipeline.training import drawing, run
from pipeline.training.augment import recolour
from pipeline.training.row import train_row, train_seeds
from tests.helpers import ROOT
from tests.row_inputs import SIDE, row_inputs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return row_inputs(tmp_path_factory.mktemp("row"))


def first_pixel_loss(
    inputs, out, monkeypatch, colour: float, shift: float = 0.0, threads: int = 1, processes: int = 1
) -> float:
    """Pixel loss of the first step; every run has a scratch store of its own."""
    monkeypatch.setenv("DVC_ROOT", str(out))
    params = load_params(ROOT / "tests" / "data" / "small.yaml")
    recipe, network = params.recipes["toy64"], params.networks["toy64"].pwm
    changed = recipe.model_dump(mode="json") | {
        "iterations": 1,
        "batch_size": 2,
        "augment": {"colour": colour, "shift_ndc": shift, "log_scale": 0.0},
    }
    changed["run"] |= {"cpu_processes": processes, "cpu_threads": threads}
    changed = type(recipe)(**changed)
    curve = train_row("toy64.x.nmfc", "nmfc", changed, network, inputs, out / "model", torch.device("cpu"))
    return curve[0]["pixel_warped"]


def test_colours_and_crops_change_as_the_recipe_says_and_otherwise_nothing_differs(inputs, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)  # the parameters name its perceptual weights from there
    plain, again, changed = (
        first_pixel_loss(inputs, tmp_path / name, monkeypatch, colour)
        for name, colour in (("plain", 0.0), ("again", 0.0), ("changed", 0.3))
    )
    assert plain == again
    assert abs(plain - changed) > 1e-3
    moved = first_pixel_loss(inputs, tmp_path / "moved", monkeypatch, 0.0, shift=0.2)
    assert abs(plain - moved) > 1e-4


def test_a_row_trains_on_as_many_threads_as_the_recipe_says(inputs, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    asked: list[int] = []
    monkeypatch.setattr("pipeline.training.row.torch.set_num_threads", asked.append)
    first_pixel_loss(inputs, tmp_path, monkeypatch, 0.0, threads=3)
    assert asked[0] == 3


def test_processes_take_shares_of_one_batch(inputs, tmp_path, monkeypatch):
    """Their mean loss is the batch's, but for BatchNorm: a share of one pair has other statistics than two pairs."""
    monkeypatch.chdir(ROOT)
    alone, shared = (
        first_pixel_loss(inputs, tmp_path / str(count), monkeypatch, 0.3, processes=count) for count in (1, 2)
    )
    assert alone != shared
    assert shared == pytest.approx(alone, rel=0.02)


def test_a_folder_that_cannot_be_written_is_refused_before_the_training(inputs, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(PermissionError, match=r"the folder of the model, .*file/model, cannot be written"):
        train_row("toy64.x.nmfc", "nmfc", short_recipe(), small_network(), inputs, tmp_path / "file" / "model",
                  torch.device("cpu"))  # fmt: skip
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("system", BASELINES)
def test_a_published_system_is_trained_by_the_same_run(system, inputs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    params = load_params(ROOT / "tests" / "data" / "small.yaml")
    recipe = params.recipes["toy64"].model_copy(update={"iterations": 2, "batch_size": 2})
    section, out = params.networks["toy64"].of(system), tmp_path / "model"
    job = (f"toy64.{system}", "", recipe, section, inputs, out, torch.device("cpu"), system)
    curve = train_row(*job, previews_every=1)
    assert curve[-1]["step"] == 2
    if system == "x2face":  # whose second step, at half of the training, is of its second stage
        assert 0 < section.losses.second_stage <= 0.5
        assert curve[-1]["identity"] > 0
    rival = hasattr(section.learning_rate, "discriminator")
    assert [("discriminator" in row) for row in curve] == [rival] * len(curve)
    with (out / "curve.csv").open(newline="") as file:
        assert [set(row) for row in csv.DictReader(file)] == [set(curve[-1])] * len(curve)
    said = capsys.readouterr().err
    assert ("  discriminator " in said) == rival
    assert f"toy64.{system}: step 2/2  generator " in said
    assert len(list(tmp_path.rglob("*.png"))) > 0
    config = read_config(out)
    assert (config["method"], config["made"], config["step"]) == (system, "trained", 2)
    assert SIDE in (config.get("native_px"), config.get("image_px"))
    head = load_head(inputs.head)
    assert config["head"] == {"name": head.name, "sha256": head.sha256}
    assert config["provenance"]["network"] == section.model_dump(mode="json")


def test_a_system_without_a_teacher_is_refused(inputs, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(run, "teacher_named", lambda _method: None)
    job = ("toy64.fomm", "", short_recipe(), small_network(), inputs, tmp_path / "model", torch.device("cpu"), "fomm")
    with pytest.raises(ValueError, match=r"fomm cannot be trained here: there is no pipeline\.adapters\.fomm\.teacher"):
        train_row(*job)


def test_a_finished_checkpoint_is_taken_by_the_code_that_made_it_and_by_no_other(inputs, tmp_path, monkeypatch):
    """Seen once: `drawn` was edited, the row "trained" for seconds, and the old weights were written out as new."""
    monkeypatch.chdir(ROOT)
    drawn = []
    monkeypatch.setattr(drawing, "recolour", lambda *args: drawn.append(args) or recolour(*args))
    for folder in ("model", "pipeline"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "assets"))

    def batches_trained_on() -> int:
        drawn.clear()
        monkeypatch.setattr(closure, "TREE", SourceTree(tmp_path))  # as a new process reads the code
        first_pixel_loss(inputs, tmp_path / "out", monkeypatch, 0.0)
        return len(drawn)

    def edit(name: str, old: str, new: str) -> None:
        text = (tmp_path / name).read_text()
        assert text.count(old) == 1
        (tmp_path / name).write_text(text.replace(old, new))

    assert batches_trained_on() == 1
    assert batches_trained_on() == 0
    edit(
        "pipeline/training/drawing.py",
        "change.log_scale, recipe.seed, step,",
        "change.log_scale, recipe.seed, step + 1,",
    )
    assert batches_trained_on() == 1
    edit("pipeline/adapters/pwm/configs.py", "codes=rates.codes", "codes=rates.generator")
    assert batches_trained_on() == 1
    edit("pipeline/training/row.py", "LINE_EVERY = 50", "LINE_EVERY = 25")  # what is said meanwhile changes nothing
    assert batches_trained_on() == 0


def short_recipe():
    recipe = load_params(ROOT / "tests" / "data" / "small.yaml").recipes["toy64"]
    run_section = recipe.run.model_copy(update={"cpu_processes": 1, "checkpoint_every": 1, "log_every": 1})
    return recipe.model_copy(update={"iterations": 2, "batch_size": 2, "seed": 4, "run": run_section})


def small_network():
    return load_params(ROOT / "tests" / "data" / "small.yaml").networks["toy64"].pwm


def as_before_networks(file) -> None:
    """Write a trained model's record as it was when recipes were in one piece."""
    config = json.loads(file.read_text())
    network = config["provenance"].pop("network")
    config["provenance"]["recipe"] |= network
    file.write_text(json.dumps(config))


def files_of(folder) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_seeds_are_trainings_of_their_own_and_more_of_them_train_the_new_ones_alone(inputs, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "project"))
    steps = []
    monkeypatch.setattr(drawing, "recolour", lambda *args: steps.append(args[2]) or recolour(*args))

    def trained(count: int, out="model") -> dict[str, bytes]:
        steps.clear()
        job = ("toy64.x.nmfc", "nmfc", short_recipe(), small_network(), inputs, tmp_path / out, torch.device("cpu"))
        train_seeds(*job, count)
        return files_of(tmp_path / out)

    names = ["config.json", "curve.csv", "weights.safetensors"]
    one = trained(1)
    assert sorted(one) == names
    assert steps == [4, 4]
    three = trained(3)
    assert steps == [5, 5, 6, 6]
    assert {name: three[name] for name in names} == one
    assert sorted(three) == sorted([*names, *(f"seeds/{seed}/{name}" for seed in (5, 6) for name in names)])
    assert len({three[name] for name in three if name.endswith("weights.safetensors")}) == 3
    # A further seed is what a recipe with that seed trains, in a project that knows nothing of the others.
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "other"))
    other = short_recipe().of_seed(6)
    train_row("toy64.x.nmfc", "nmfc", other, small_network(), inputs, tmp_path / "other" / "model", torch.device("cpu"))
    assert files_of(tmp_path / "other" / "model") == {name: three[f"seeds/6/{name}"] for name in names}
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "project"))
    assert trained(1) == one  # what is not asked for any more goes
    assert steps == []


def test_a_published_system_that_was_trained_is_taken_over_by_its_own_section(inputs, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    data, params = tmp_path / "data", load_params(ROOT / "tests" / "data" / "small.yaml")
    places = {"clips/train": inputs.clips, "fits/puppet/train.parquet": inputs.fits, "heads/puppet.npz": inputs.head}
    for here, there in places.items():
        (data / here).parent.mkdir(parents=True, exist_ok=True)
        (data / here).symlink_to(there)
    bench = params.bench.model_copy(update={"baselines": ["toy64"]})
    recipe = params.recipes["toy64"].model_copy(update={"iterations": 2, "batch_size": 2})
    params = params.model_copy(update={"bench": bench, "recipes": {"toy64": recipe}})
    made = Workshop(params, data, "cpu")
    made.write_models("headgan", data / "models" / "headgan")
    check_published(params, "headgan", data)
    more = recipe.model_copy(update={"iterations": 3})
    with pytest.raises(ValueError, match="headgan/toy64: its step is 2, wanted now is 3"):
        check_published(params.model_copy(update={"recipes": {"toy64": more}}), "headgan", data)
    path = data / "models" / "headgan" / "toy64" / "config.json"
    config = json.loads(path.read_text())
    config["provenance"]["network"]["generator"]["hidden"] = 3
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"its networks\.toy64\.headgan\.generator\.hidden is 3, wanted now is"):
        check_published(params, "headgan", data)


def test_a_model_is_taken_over_where_it_has_the_seeds_that_are_asked_for(inputs, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    data, row = tmp_path / "data", Row("toy64.x.nmfc", "", "pwm", "x", "nmfc", "toy64")
    places = {"clips/train": inputs.clips, "fits/x/train.parquet": inputs.fits, "heads/x.npz": inputs.head}
    for here, there in places.items():
        (data / here).parent.mkdir(parents=True, exist_ok=True)
        (data / here).symlink_to(there)
    params = load_params(ROOT / "tests" / "data" / "small.yaml")

    def asked(seeds: int):
        bench = params.bench.model_copy(update={"seeds": seeds})
        return params.model_copy(update={"bench": bench, "recipes": {"toy64": short_recipe()}})

    def train(seeds: int) -> None:
        out = data / "models" / row.key
        train_seeds(row.key, row.guidance, short_recipe(), small_network(), inputs, out, torch.device("cpu"), seeds)

    train(1)
    check_row(asked(1), row, data)
    as_before_networks(data / "models" / row.key / "config.json")
    check_row(asked(1), row, data)
    with pytest.raises(ValueError, match=r"its further seeds \(bench.seeds\) is \[\], wanted now is \[5, 6\]"):
        check_row(asked(3), row, data)
    train(3)
    check_row(asked(3), row, data)
    with pytest.raises(ValueError, match=r"is \[5, 6\], wanted now is \[\]"):
        check_row(asked(1), row, data)
    (data / "models" / row.key / "seeds" / "6" / "curve.csv").unlink()
    with pytest.raises(FileNotFoundError, match="no training curve in .*seeds/6"):
        check_row(asked(3), row, data)
