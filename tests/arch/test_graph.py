"""dvc.yaml against the code: the rows, what each stage depends on, and how fast commands start."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.cli import main as dvc
from dvc.repo import Repo
from dvc.repo.artifacts import check_name_format
from dvc.repo.plots import infer_data_sources
from ruamel.yaml import YAML

from pipeline.method_table import BASELINES, METHODS, OURS
from pipeline.params.tree import load_params
from pipeline.report.rows import pwm_rows, selected_row
from tests.arch.stage_deps import OF_METHODS, is_code, reached, resolved, rooms, rooms_of, stage_script
from tests.helpers import ROOT

PROFILES = sorted(p.stem for p in (ROOT / "profiles").glob("*.yaml"))
HEAVY = {"torch", "decord", "distributed", "cv2", "pandas", "matplotlib"}


def stage_bodies() -> dict[str, dict]:
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    return {name: stage.get("do", stage) for name, stage in stages.items()}


def deps_of(stage) -> set[str]:
    return {Path(dep.def_path).as_posix() for dep in stage.deps}


@pytest.fixture(params=PROFILES)
def project(request, tmp_path):
    """A DVC project with the graph and the parameters of one profile, without code and data."""
    (tmp_path / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    (tmp_path / "params.yaml").write_text((ROOT / "profiles" / f"{request.param}.yaml").read_text())
    Repo.init(str(tmp_path), no_scm=True).close()
    shutil.copytree(ROOT / ".dvc" / "plots", tmp_path / ".dvc" / "plots")
    return tmp_path


@pytest.fixture
def profile(project):
    """The parameters and the stages of one profile, loaded by DVC itself."""
    with Repo(str(project)) as repo:
        yield load_params(project / "params.yaml"), {stage.name: stage for stage in repo.index.stages}


def test_params_yaml_is_a_copy_of_the_puppets_profile():
    assert (ROOT / "params.yaml").read_text() == (ROOT / "profiles" / "puppets.yaml").read_text()


def test_dvc_finds_its_way_without_a_second_data_set(project):
    yaml, path = YAML(), project / "params.yaml"
    params = yaml.load(path)
    with Repo(str(project)) as repo:
        before = {stage.name for stage in repo.index.stages}
    params["data"]["second"] = None
    yaml.dump(params, path)
    with Repo(str(project)) as repo:
        assert {stage.name for stage in repo.index.stages} == before


def test_every_row_has_one_training_and_one_evaluation(profile):
    params, stages = profile
    rows = {row.key for row in pwm_rows(params.bench, params.model)}
    assert {name.removeprefix("train@") for name in stages if name.startswith("train@")} == rows
    assert {n.removeprefix("evaluate@") for n in stages if n.startswith("evaluate@")} == rows | set(BASELINES)
    assert {n.removeprefix("baseline@") for n in stages if n.startswith("baseline@")} == set(BASELINES)


def test_the_report_depends_on_the_results_of_every_row(profile):
    params, stages = profile
    rows = {row.key for row in pwm_rows(params.bench, params.model)} | set(BASELINES)
    wanted = {f"data/results/{row}" for row in rows} | {"data/results/controls"}
    for name in ("report", "figures"):
        deps = deps_of(stages[name])
        assert wanted <= deps | ({"data/results/controls"} if name == "figures" else set())
    assert {f"data/models/{row}" for row in rows} <= deps_of(stages["figures"])


def test_no_stage_reads_a_whole_folder_of_which_another_reads_a_part(profile):
    """In a clone, `dvc repro --pull` completes no folder of which a part is there already."""
    params, stages = profile
    deps = {Path(d.def_path) for stage in stages.values() for d in stage.deps}
    data = [path for path in deps if path.parts[0] in ("data", "reports")]
    assert Path(f"data/heads/{params.bench.head}.npz") in data
    assert not [(str(whole), str(part)) for whole in data for part in data if whole in part.parents]


def test_outputs_are_unique_and_keep_the_run_cache(profile):
    _, stages = profile
    outs = [out.def_path for stage in stages.values() for out in stage.outs]
    assert len(outs) == len(set(outs))
    for name, stage in stages.items():
        if name.split("@")[0] in {"videos", "crop", "fit", "pairs", "train", "evaluate"}:
            assert all(out.use_cache and not out.persist for out in stage.outs), name


def test_dvc_lists_and_draws_the_graph(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    assert dvc(["stage", "list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert len(listed) == len(set(listed)) > 15
    assert dvc(["dag", "--dot"]) == 0
    drawn = capsys.readouterr().out
    assert not [name for name in listed if f'"{name}"' not in drawn]
    params = load_params(project / "params.yaml")
    for row in pwm_rows(params.bench, params.model):
        assert f'"train@{row.key}" -> "evaluate@{row.key}"' in drawn


def test_top_level_keys_name_what_stages_write(project):
    params = load_params(project / "params.yaml")
    rows = {row.key for row in pwm_rows(params.bench, params.model)}
    with Repo(str(project)) as repo:
        (plots,), (metrics,), (files,) = (
            of.values() for of in (repo.index._plots, repo.index._metrics, repo.index._params)
        )
        written = {out.def_path for stage in repo.index.stages for out in stage.outs}
        artifacts = repo.artifacts.read()["dvc.yaml"]
    assert files == ["params.yaml"]
    assert metrics == [f"reports/{params.bench.name}/metrics.json"]
    drawn = {source for plot in plots for name, how in plot.items() for source in infer_data_sources(name, how)}
    assert drawn == {f"data/models/{row}/curve.csv" for row in rows} | {f"reports/{params.bench.name}/plots/rows.csv"}
    for path in drawn | set(metrics):
        assert any(path == out or path.startswith(f"{out}/") for out in written), path
    templates = {how["template"] for plot in plots for how in plot.values()}
    assert templates == {file.stem for file in (ROOT / ".dvc" / "plots").glob("*.json")}
    assert {Path(artifact.path).as_posix() for artifact in artifacts.values()} == {f"data/models/{r}" for r in rows}
    assert artifacts["selected"].path == f"data/models/{selected_row(params.bench, params.model).key}"
    for name in artifacts:
        check_name_format(name)


@pytest.mark.parametrize("stage", sorted(stage_bodies()))
def test_code_dependencies_are_the_rooms_that_imports_reach(stage):
    body = stage_bodies()[stage]
    listed = [d for d in body["deps"] if is_code(d)]
    assert listed == rooms(stage_script(body["cmd"])), "run `python -m tests.arch.stage_deps`"
    assert not [d for d in listed if (ROOT / d).is_file() and len(Path(d).parts) > 2], "names a module of a room"


@pytest.mark.parametrize("stage", ["baseline", "evaluate"])
def test_a_stage_of_one_method_depends_on_all_that_it_reaches_and_on_no_other_method(stage):
    """So that an edit of one published system runs nothing of another (figures and report apart)."""
    deps = [d for d in stage_bodies()[stage]["deps"] if is_code(d)]
    for method in OF_METHODS[stage][0]:
        named = {resolved(dep, method) for dep in deps}
        assert reached(stage, method) <= named, method
        assert rooms_of(method) <= named
        others = [other for other in METHODS if other != method]
        assert not named & set().union(*(rooms_of(other) for other in others)), method


def test_every_published_system_has_its_rooms_its_release_and_its_card():
    for system in BASELINES:
        for file in (f"model/baselines/{system}/network.py", f"pipeline/adapters/{system}/adapter.py",
                     f"pipeline/adapters/{system}/release.py", f"docs/cards/{system}.md"):  # fmt: skip
            assert (ROOT / file).is_file(), file
    for folder, known in (("model/baselines", {*BASELINES, "shared"}), ("pipeline/adapters", {*BASELINES, OURS})):
        assert {path.parent.name for path in (ROOT / folder).glob("*/__init__.py")} == known


def test_labels_assets_and_the_table_of_methods_run_no_stage_again_that_works():
    for stage in ("train", "fit", "baseline", "evaluate"):
        deps = stage_bodies()[stage]["deps"]
        for table in ("pipeline/report/rows.py", "pipeline/assets.py", "pipeline/method_table.py"):
            assert (ROOT / table).is_file()
            assert not [d for d in deps if table == d or table.startswith(f"{d}/")], f"{stage} depends on {table}"


def test_where_the_work_is_done_re_runs_nothing():
    params = [str(name) for body in stage_bodies().values() for name in body.get("params", [])]
    assert "crop" in params
    assert not [name for name in params if name.split(".")[0] == "dask"]


@pytest.mark.parametrize("script", sorted(p.stem for p in (ROOT / "stages").glob("[a-z]*.py")))
def test_help_of_a_stage_loads_nothing_heavy(script):
    code = (
        f"import sys; sys.argv = ['x', '--help']\nimport runpy\n"
        f"try: runpy.run_module('stages.{script}', run_name='__main__')\nexcept SystemExit: pass\n"
        f"print('LOADED', sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "LOADED []" in done.stdout
    assert "Usage" in done.stdout
