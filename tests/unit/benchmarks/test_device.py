"""`make device` on the CPU at toy size, as a bare machine would see it; reference runs stop, go on and are compared."""

import csv
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import typer

from benchmarks.device import __main__ as given
from benchmarks.device import pack
from benchmarks.device import runs as reference
from benchmarks.device.pages import CURVE_ROWS, curves
from benchmarks.device.parts import PYTEST, TIMINGS, gpu_tests, reference_runs
from benchmarks.device.runs import work_through
from benchmarks.device.settings import ALL, Run, of_puppets, of_run
from benchmarks.device.training import Place, train_to
from model.pwm.config import GUIDANCE_PARTS
from pipeline.method_table import BASELINES, OURS
from pipeline.params.tree import load_params
from tests.bare_machine import run_bare, write_wheels
from tests.helpers import ROOT
from tests.packed_puppets import write_set

PROFILE = ROOT / "tests" / "data" / "small.yaml"
LATER = time.monotonic() + 1e6
RUNS = [Run(OURS, "geom_disp", "paper"), Run(OURS, "nmfc", "warped_source")]


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("packed") / "set"
    write_set(folder, 64)
    return folder


def params_of(folder: Path, iterations: int = 4):
    return load_params(of_puppets(PROFILE, folder / "params.yaml", iterations=iterations, batch_size=2))


@pytest.mark.slow
def test_a_bare_machine_is_told_what_to_bring_and_works_with_it(packed, tmp_path):
    given = (
        "benchmarks.device", "--parts", "runs", "--runs", *(run.name for run in RUNS), "--profile", str(PROFILE),
        "--packed", str(packed), "--every", "2", "--iterations", "2", "--device", "cpu", "--work", f"{tmp_path}/work",
        "--out", f"{tmp_path}/out", "--wheels", f"{tmp_path}/wheels",
    )  # fmt: skip
    lacking = run_bare(tmp_path, *given)
    assert lacking.returncode == 2
    assert re.search(r"has no pydantic, ruamel\.yaml: bring wheels along in .*wheels \(.*pip download", lacking.stderr)
    write_wheels(tmp_path / "wheels")
    done = run_bare(tmp_path, *given)
    assert done.returncode == 0, done.stderr
    table = json.loads((tmp_path / "out" / "table.json").read_text())
    assert table["iterations"] == 2
    assert list(table["rows"]) == [run.name for run in RUNS]
    assert all({"L1", "PSNR", "SSIM", "CSIM"} <= set(row["values"]) for row in table["rows"].values())
    assert table["command"].startswith("python -m benchmarks.device --parts runs")
    assert table["machine"]["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"table.json", "table.md", "curves.csv", "sheet.jpg"}


def test_runs_stop_and_go_on_as_if_they_had_not(packed, tmp_path):
    params, run = params_of(tmp_path), RUNS[0]
    whole = train_to(4, LATER, params, run, Place(packed, tmp_path / "whole", torch.device("cpu"), 4))
    place = Place(packed, tmp_path / "parts", torch.device("cpu"), 4)
    first = train_to(4, 0.0, params, run, place)  # the time is over at once: the step under way is finished
    assert 1 <= first.step < 4
    again = train_to(4, LATER, params, run, place)
    assert again.step == 4
    assert again.curve == whole.curve
    wanted, found = whole.network.state_dict(), again.network.state_dict()
    assert all(torch.equal(value, found[name]) for name, value in wanted.items())


def test_a_table_counts_only_at_equal_iterations(packed, tmp_path, monkeypatch):
    params, place = params_of(tmp_path), Place(packed, tmp_path / "work", torch.device("cpu"), 2)
    out = tmp_path / "out"

    def called(turns: int) -> bool:
        clock = iter([0.0] * (turns + 1) + [1e9] * 99)
        with monkeypatch.context() as patch:
            patch.setattr(reference, "time", SimpleNamespace(monotonic=lambda: next(clock)))
            patch.setattr(reference, "train_to", lambda goal, _until, *rest: train_to(goal, LATER, *rest))
            return work_through(RUNS, params, place, 10.0, out, "called")

    assert not called(1)
    assert "No table yet" in (out / "table.md").read_text()
    assert "(geom_disp/paper 2, nmfc/warped_source 0)" in (out / "table.md").read_text()
    assert not (out / "sheet.jpg").exists()
    assert not called(2)  # the second row, and the first once more
    table = json.loads((out / "table.json").read_text())
    assert (table["iterations"], table["reached"]) == (2, {RUNS[0].name: 4, RUNS[1].name: 2})
    assert called(1)
    assert json.loads((out / "table.json").read_text())["iterations"] == 4
    assert called(0)  # nothing is left to do


def test_other_settings_data_or_turns_start_anew(packed, tmp_path):
    place = Place(packed, tmp_path, torch.device("cpu"), 2)
    one = place.states(params_of(tmp_path, 4), RUNS[0])
    assert place.states(params_of(tmp_path, 8), RUNS[0]) == one  # more of the same
    others = {
        place.states(load_params(of_puppets(PROFILE, tmp_path / "p.yaml", batch_size=4)), RUNS[0]),
        replace(place, every=3).states(params_of(tmp_path), RUNS[0]),
        place.states(params_of(tmp_path), RUNS[1]),
        replace(place, packed=tmp_path / "none").states(params_of(tmp_path), RUNS[0]),
    }
    assert len(others) == 4
    assert one not in others


def test_the_twelve_rows_are_there_ours_with_both_outputs(tmp_path):
    params = load_params(of_puppets(ROOT / "profiles" / "voxceleb.yaml", tmp_path / "params.yaml"))
    assert len(ALL) == 2 * (len(GUIDANCE_PARTS) + 1) + len(BASELINES)
    assert len({run.folder for run in ALL}) == len(ALL)
    assert all(Run.named(run.name) == run for run in ALL)
    assert {run.head(params) for run in ALL} == {"puppet", "puppet_face"}
    assert Run.named("geom_disp+neural_codes@second/paper").head(params) == "puppet_face"
    with pytest.raises(ValueError, match=r"there is no run 'nmfc': there are .*nmfc/paper.*, fomm3d"):
        Run.named("nmfc")


@pytest.mark.slow
@pytest.mark.parametrize("run", [run for run in ALL if run.output != "paper"], ids=lambda run: run.name)
def test_every_run_trains_and_is_scored(run, packed, tmp_path):
    params, place = params_of(tmp_path, 1), Place(packed, tmp_path / "work", torch.device("cpu"), 1)
    assert work_through([run], params, place, 10.0, tmp_path / "out", "called")
    (row,) = json.loads((tmp_path / "out" / "table.json").read_text())["rows"].values()
    assert all(value == value for value in row["values"].values())
    assert (tmp_path / "out" / "sheet.jpg").is_file()


def test_the_papers_settings_become_the_puppets(tmp_path):
    params = load_params(of_puppets(ROOT / "profiles" / "voxceleb.yaml", tmp_path / "params.yaml"))
    recipe, section = of_run(params, Run(OURS, "nmfc", "paper"))
    assert (recipe.image_px, recipe.batch_size) == (256, 16)
    assert section.perceptual.backbone == "puppet_tracker"
    assert (section.generator.output, section.generator.last_disp) == ("paper", "upsampled")
    assert of_run(params, Run(OURS, "nmfc", "warped_source"))[1].generator.output == "warped_source"


def test_curves_are_thinned():
    whole = [{"step": step, "generator": 1.0} for step in range(1, 1001)]
    rows = list(csv.DictReader(curves({"a/b": {1000: {"curve": whole}}, "c/d": {}}).splitlines()))
    assert 0 < len(rows) <= CURVE_ROWS
    assert rows[0] == {"run": "a/b", "step": "1", "loss": "generator", "value": "1"}


def test_a_set_that_is_not_there_is_named(tmp_path):
    given = SimpleNamespace(runs=[], packed=tmp_path / "none")
    with pytest.raises(
        FileNotFoundError, match=r"no packed set at .*none: make it with `python -m benchmarks.device.pack`"
    ):
        reference_runs(given, 1.0, "called")


def test_a_set_that_is_too_large_is_refused_with_its_size(packed, tmp_path, monkeypatch):
    """Nothing is left where the set was to lie; one that is just small enough lies there."""
    size = sum(path.stat().st_size for path in packed.rglob("*") if path.is_file()) / 2**20
    made = {"size_px": 64, "frames": 8, "train_people": 2, "test_people": 2, "texture_px": 128, "workers": 1}

    def rendered(folder: Path, _params: Path, _workers: int) -> None:
        shutil.copytree(packed, folder, dirs_exist_ok=True)

    monkeypatch.setattr(pack, "run_stages", rendered)
    monkeypatch.setattr(pack, "LARGEST_MIB", size / 2)
    with pytest.raises(typer.BadParameter, match=r"the set has \d+\.\d MiB, more than \d+: fewer"):
        pack.main(out=tmp_path / "set", **made)
    assert not (tmp_path / "set").exists()
    monkeypatch.setattr(pack, "LARGEST_MIB", size * 2)
    pack.main(out=tmp_path / "set", **made)
    wanted = {path.relative_to(packed) for path in packed.rglob("*") if path.is_file()}
    assert {path.relative_to(tmp_path / "set") for path in (tmp_path / "set").rglob("*") if path.is_file()} == {
        *wanted, Path("set.json")
    }  # fmt: skip
    with pytest.raises(typer.BadParameter, match="is there already"):
        pack.main(out=tmp_path / "set", **made)


@pytest.mark.slow
def test_a_packed_set_is_made_and_trains(tmp_path):
    packed = tmp_path / "set"
    sizes = ("--size-px", "64", "--frames", "8", "--train-people", "1", "--test-people", "2", "--texture-px", "128")
    made = [sys.executable, "-m", "benchmarks.device.pack", "--out", str(packed), *sizes, "--workers", "1"]
    subprocess.run(made, cwd=ROOT, check=True)
    assert "clips/train/index.parquet" in json.loads((packed / "set.json").read_text())["files"]
    params = params_of(tmp_path, 1)
    assert train_to(1, LATER, params, RUNS[0], Place(packed, tmp_path / "w", torch.device("cpu"), 1)).step == 1


SKIPPING = """
import pytest

{before}

@pytest.fixture
def brought():
    {fixture}

@pytest.mark.gpu
def test_one(brought):
    {inside}
"""


@pytest.mark.parametrize(
    ("place", "line", "status", "said"),
    [
        ("before", "import nowhere_at.all", pytest.ExitCode.NO_TESTS_COLLECTED, "this machine has no nowhere_at"),
        ("fixture", "import nowhere_at.all", pytest.ExitCode.OK, "this machine has no nowhere_at"),
        ("inside", "import nowhere_at.all", pytest.ExitCode.OK, "this machine has no nowhere_at"),
        ("before", "import model.nowhere", pytest.ExitCode.INTERRUPTED, "No module named 'model.nowhere'"),
        ("inside", "import model.nowhere", pytest.ExitCode.TESTS_FAILED, "No module named 'model.nowhere'"),
        ("before", "from model import nowhere", pytest.ExitCode.INTERRUPTED, "cannot import name 'nowhere'"),
        ("inside", "assert not 'a failure'", pytest.ExitCode.TESTS_FAILED, "1 failed"),
        ("inside", "pass", pytest.ExitCode.OK, "1 passed"),
    ],
)
def test_what_a_bare_machine_lacks_is_skipped_and_nothing_else(place, line, status, said, tmp_path):
    lines = dict.fromkeys(("before", "fixture", "inside"), "pass") | {place: line}
    (tmp_path / "test_some.py").write_text(SKIPPING.format(**lines))
    command = [sys.executable, "-m", *PYTEST, "--rootdir", str(tmp_path), "-c", "/dev/null", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stdout) == (status, True), done.stdout


def test_every_test_for_a_gpu_is_run():
    """Found by the marks themselves, as pytest collects them."""
    asked = gpu_tests()
    assert all((ROOT / name).exists() for name in asked)
    marked = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("*.py")
        if re.search(r"mark\.gpu|import .*\bGPU\b", path.read_text()) and path.name != Path(__file__).name
    ]
    assert len(marked) > 6
    helpers = {"tests/devices.py", "tests/unit/model/conftest.py"}
    missed = [name for name in marked if name not in {*asked, *helpers} and not name.startswith("tests/unit/model/")]
    assert missed == []


@pytest.mark.slow
def test_the_tests_for_a_gpu_are_read_on_a_bare_machine(tmp_path):
    """Without a GPU each is skipped with its reason; none is an error."""
    out, wheels = tmp_path / "out", tmp_path / "wheels"
    write_wheels(wheels)
    done = run_bare(tmp_path, "benchmarks.device", "--parts", "tests", "--work", f"{tmp_path}/work",
                    "--out", str(out), "--wheels", str(wheels))  # fmt: skip
    said = (out / "gpu_tests.txt").read_text()
    assert done.returncode == 0, said
    assert "no CUDA device on this machine" in said
    assert "error" not in said.splitlines()[-1]


@pytest.mark.slow
def test_timings_run_on_a_bare_machine(tmp_path):
    """The quick one; of the others that their modules load: what they time is tested elsewhere."""
    out, wheels = tmp_path / "out", tmp_path / "wheels"
    write_wheels(wheels)
    done = run_bare(
        tmp_path, "benchmarks.device", "--parts", "timings", "--timings", "heads", "--quick", "--device", "cpu",
        "--profile", str(PROFILE), "--work", f"{tmp_path}/work", "--out", str(out), "--wheels", str(wheels),
    )  # fmt: skip
    failed = [path.read_text() for path in out.rglob("*.failed.txt")]
    assert (done.returncode, failed) == (0, []), done.stderr
    assert {path.stem for path in (out / "benchmarks").glob("*.json")} == {"heads", "machine"}
    for name in ("raster", "train", "generate"):
        loaded = run_bare(tmp_path, f"benchmarks.{name}", "--help", beside=tmp_path / "work" / "site")
        assert loaded.returncode == 0, loaded.stderr
    assert set(given.TIMINGS) == set(TIMINGS)
