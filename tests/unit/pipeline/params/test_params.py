"""params.yaml: wrong keys and values end in one clear message."""

import json
from importlib import import_module
from io import StringIO
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML

from pipeline.params.strict import Strict
from pipeline.params.tree import ParamsError, load_params
from tests.helpers import ROOT

PUPPETS = (ROOT / "profiles" / "puppets.yaml").read_text()


def load(tmp_path: Path, text: str):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    return load_params(path)


@pytest.mark.parametrize("profile", sorted(p.name for p in (ROOT / "profiles").glob("*.yaml")))
def test_every_profile_is_valid(profile):
    params = load_params(ROOT / "profiles" / profile)
    assert params.bench.name == profile.removesuffix(".yaml")
    assert params.bench.head != params.bench.head2


def test_one_data_set_is_enough(tmp_path):
    raw = YAML(typ="safe").load(PUPPETS)
    raw["data"]["second"] = None
    data = load(tmp_path, json.dumps(raw)).data
    assert list(data.sources()) == ["data.first"]
    assert list(load(tmp_path, PUPPETS).data.sources()) == ["data.first", "data.second"]


def test_what_dvc_watches_of_the_second_data_set_stands_beside_it(tmp_path):
    assert load(tmp_path, PUPPETS).data.second.watch == "data/videos/puppets2"
    with pytest.raises(ParamsError, match=r"data.second.watch stands one level higher: write it as data.watch_second"):
        load(tmp_path, PUPPETS.replace("    name: VoxCeleb2\n", "    name: VoxCeleb2\n    watch: x\n"))
    with pytest.raises(ParamsError, match=r"watch is 'elsewhere': expected the folder 'data/videos/puppets2'"):
        load(tmp_path, PUPPETS.replace("watch_second: data/videos/puppets2", "watch_second: elsewhere"))


def test_a_misspelt_key_is_named_with_the_nearest(tmp_path):
    with pytest.raises(ParamsError, match=r"unknown key 'bench.head_2', did you mean 'head2'"):
        load(tmp_path, PUPPETS.replace("  head2:", "  head_2:"))


def test_an_unknown_guidance_lists_the_names(tmp_path):
    with pytest.raises(ParamsError, match=r"model.guidance.*geom_disp.*neural_codes.*'foo'"):
        load(tmp_path, PUPPETS.replace("guidance: neural_codes", "guidance: foo", 1))


def test_a_reference_that_can_be_no_row_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(
        ParamsError, match=r"report.reference: 'nfmc' is neither a guidance \(geom_disp.* nor a row's key"
    ):
        load(tmp_path, PUPPETS.replace("reference: nmfc", "reference: nfmc"))
    key = "toy64.puppet_face.geom_disp+neural_codes"
    assert load(tmp_path, PUPPETS.replace("reference: nmfc", f"reference: {key}")).report.reference == key


def test_the_bootstraps_parameters_are_gone(tmp_path):
    with pytest.raises(ParamsError, match=r"unknown key 'report.bootstrap_draws'"):
        load(tmp_path, PUPPETS.replace("  min_people:", "  bootstrap_draws: 2000\n  min_people:"))


def test_equal_heads_are_refused(tmp_path):
    with pytest.raises(ParamsError, match=r"bench.head2 must be another head than bench.head, both are 'puppet'"):
        load(tmp_path, PUPPETS.replace("head2: puppet_face", "head2: puppet", 1))


def test_each_head_has_its_tracker(tmp_path):
    text = PUPPETS.replace("second_tracker: puppet_tracker", "second_tracker: deep3d", 1)
    params = load(tmp_path, text)
    assert [params.fit_of(head).tracker for head in ("puppet", "puppet_face")] == ["puppet_tracker", "deep3d"]
    with pytest.raises(ValueError, match="head 'flame' is not fitted here: bench has puppet and puppet_face"):
        params.fit_of("flame")


def test_a_metric_has_one_backend_or_several_in_order(tmp_path):
    one, two = "[puppet_judge]", "[inception, puppet_judge]"
    alone = load(tmp_path, PUPPETS).metrics.fid.backend
    assert alone == load(tmp_path, PUPPETS.replace("backend: puppet_judge", f"backend: {one}", 1)).metrics.fid.backend
    text = PUPPETS.replace("backend: puppet_judge", f"backend: {two}", 1)
    assert load(tmp_path, text).metrics.fid.backend == ("inception", "puppet_judge")
    text = PUPPETS.replace("second_backend: puppet_tracker", "second_backend: [deca, puppet_tracker]", 1)
    assert load(tmp_path, text).metrics.aed.second_backend == ("deca", "puppet_tracker")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("[puppet_judge, puppet_judge]", "metrics.fid.backend: puppet_judge named twice"),
        ("[]", "metrics.fid.backend: .*name or a list of such names"),
        ("3", "metrics.fid.backend: .*name or a list of such names"),
        (
            "[puppet_judge, fan]",
            "metrics.fid.backend: .*one of puppet_judge, inception, efficientnet_lite0, not 'fan'",
        ),
    ],
)
def test_backends_that_cannot_be_are_named(tmp_path, names, said):
    with pytest.raises(ParamsError, match=said):
        load(tmp_path, PUPPETS.replace("backend: puppet_judge", f"backend: {names}", 1))


def test_an_unknown_recipe_is_refused(tmp_path):
    with pytest.raises(ParamsError, match=r"model.recipe: there is no recipe 'tall'"):
        load(tmp_path, PUPPETS.replace("recipe: toy64", "recipe: tall", 1))


def as_before_networks() -> str:
    """The puppets profile with the recipe in one piece."""
    raw = YAML(typ="safe").load(PUPPETS)
    raw["recipes"]["toy64"] |= raw.pop("networks")["toy64"]["pwm"]
    out = StringIO()
    YAML(typ="safe").dump(raw, out)
    return out.getvalue()


def test_every_key_that_moved_is_refused_with_its_new_name(tmp_path):
    with pytest.raises(ParamsError) as caught:
        load(tmp_path, as_before_networks())
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(f"{tmp_path / 'params.yaml'}: recipes.toy64.")
    assert said.endswith(": move them")
    sections = ("learning_rate", "generator", "discriminator", "losses", "perceptual", "guidance")
    for name in sections:
        assert f"recipes.toy64.{name} now stands in networks.toy64.pwm.{name}" in said
    assert said.count("now stands in") == len(sections)


def test_a_moved_key_that_was_set_where_it_stood_is_refused_too(tmp_path):
    """What `dvc exp run -S +recipes.toy64.generator.output=paper` writes; the rest is where it belongs."""
    text = PUPPETS.replace("    augment:\n", "    generator: {output: paper}\n    augment:\n", 1)
    with pytest.raises(
        ParamsError, match=r"recipes.toy64.generator now stands in networks.toy64.pwm.generator: move it$"
    ):
        load(tmp_path, text)


def test_recipes_and_networks_have_the_same_names(tmp_path):
    with pytest.raises(ParamsError) as caught:
        load(tmp_path, PUPPETS.replace("networks:\n  toy64:", "networks:\n  tall:", 1))
    assert str(caught.value).endswith(
        "params.yaml: recipes.toy64 has no networks.toy64, networks.tall has no recipes.tall: "
        "every recipe stands in both"
    )


def test_a_batch_that_cannot_be_shared_equally_is_refused(tmp_path):
    with pytest.raises(ParamsError, match=r"3 processes cannot take equal shares of batch_size 8"):
        load(tmp_path, PUPPETS.replace("cpu_processes: 2", "cpu_processes: 3", 1))


@pytest.mark.parametrize("key", ["outer_kernel", "mask_kernel"])
def test_a_convolution_that_keeps_the_size_has_an_odd_side(tmp_path, key):
    with pytest.raises(ParamsError, match=rf"{key}: .*odd side \(it is 4\)"):
        load(tmp_path, PUPPETS.replace(f"{key}: 3", f"{key}: 4", 1))


def test_a_scheduler_is_an_address_or_nothing(tmp_path):
    assert load(tmp_path, PUPPETS).dask.scheduler is None
    address = "tcp://10.0.0.1:8786"
    assert load(tmp_path, PUPPETS.replace("scheduler: null", f"scheduler: {address}")).dask.scheduler == address
    with pytest.raises(ParamsError, match=r"dask.scheduler: .*'10.0.0.1'"):
        load(tmp_path, PUPPETS.replace("scheduler: null", "scheduler: 10.0.0.1"))


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(ParamsError, match=r"no parameter file .*nothing.yaml.*profiles"):
        load_params(tmp_path / "nothing.yaml")
    with pytest.raises(ParamsError, match="is not YAML"):
        load(tmp_path, "a: [1, 2")


def test_numbers_as_dvc_writes_them_stay_numbers(tmp_path):
    params = load(tmp_path, PUPPETS.replace("generator: 0.003", "generator: 2e-3", 1))
    assert params.networks["toy64"].pwm.learning_rate.generator == pytest.approx(2e-3)


def test_every_part_is_strict():
    modules = [import_module(f"pipeline.params.{p.stem}") for p in (ROOT / "pipeline/params").glob("[a-z]*.py")]
    classes = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    parts = {c for c in classes if issubclass(c, BaseModel)} - {BaseModel}
    assert len(parts) > 20
    assert all(issubclass(part, Strict) for part in parts)
    with pytest.raises(ValidationError, match="frozen"):
        load_params(ROOT / "params.yaml").crop.tube.min_frames = 1


@pytest.mark.parametrize("root", ["../given", "data/../../given"])
def test_in_dvcs_copy_a_root_outside_the_project_is_refused_with_its_absolute_form(root, tmp_path, monkeypatch):
    project, copy = tmp_path / "project", tmp_path / "project" / ".dvc" / "tmp" / "exps" / "standalone" / "tmp1"
    copy.mkdir(parents=True)
    data = load_params(ROOT / "profiles" / "voxceleb.yaml").data.model_copy(update={"root": root})
    monkeypatch.chdir(project)
    monkeypatch.setenv("DVC_ROOT", str(project))
    assert data.root_folder() == Path(root)
    monkeypatch.chdir(copy)
    with pytest.raises(ValueError, match="leads out of the project") as caught:
        data.root_folder()
    assert f"`-S data.root={tmp_path / 'given'}`" in str(caught.value)
    assert "\n" not in str(caught.value)
    for fine in (".", "data", str(tmp_path / "given")):
        assert data.model_copy(update={"root": fine}).root_folder() == Path(fine)
