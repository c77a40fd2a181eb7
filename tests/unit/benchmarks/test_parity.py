"""`make parity` itself: it passes on the goldens, fails on altered ones, and skips nothing in silence."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.store.registry import resolve
from tests.helpers import ROOT, shared
from tests.parity.checks import CHECKS
from tests.parity.compare import Output, compare, worst
from tests.parity.golden import GEOMETRY, Fixture
from tests.parity.run import ABSENT, FAILED, NOT_YET, OK, Line, run

TOY = {
    "toy": "tests.unit.benchmarks.test_parity:check_toy",
    "geometry/toy": "tests.unit.benchmarks.test_parity:check_toy",
}


def check_toy(fixture: Fixture) -> list[Output]:
    """Doubles; the input of a seeded fixture comes from the folder's own rule."""
    golden = fixture.arrays()
    given = golden["given"] if fixture.seed is None else fixture.golden.fill.draw(fixture.seed)
    return [compare("doubled", 2 * given, golden["doubled"], 1e-6), compare("count", len(given), golden["count"])]


def write_toys(folder: Path) -> Path:
    """A folder in the goldens' form: two seeds, geometry, and what nobody checks yet."""
    golden = folder / "golden"
    (folder / "manifests").mkdir()
    for name in ("geometry", "seed1", "seed20", "tiny_checkpoint"):
        (golden / name).mkdir(parents=True)
    (golden / "fill.py").write_text("import numpy as np\n\ndef draw(seed):\n    return np.arange(3.0) + seed\n")
    for name, given in (("geometry", np.ones(3)), ("seed1", np.arange(3.0) + 1), ("seed20", np.arange(3.0) + 20)):
        np.savez(golden / name / "toy.npz", given=given, doubled=2 * given, count=3)
    np.savez(golden / "seed20" / "other.npz", x=np.zeros(2))
    return golden


def verdicts(folder: Path) -> dict[tuple[str, int | None], Line]:
    return {(line.name, line.seed): line for line in run(folder, TOY)}


def test_every_fixture_of_every_seed_gets_a_line(tmp_path):
    golden = write_toys(tmp_path)
    lines = verdicts(golden)
    assert {key: line.verdict for key, line in lines.items()} == {
        ("geometry/toy", None): OK, ("toy", 1): OK, ("toy", 20): OK, ("other", 20): NOT_YET,
        ("tiny_checkpoint", None): NOT_YET,
    }  # fmt: skip
    text = str(lines["toy", 20])
    assert text.split()[:5] == ["toy", "20", "0.00e+00", "1.00e-06", "ok"]
    (golden / "seed1" / "toy.npz").unlink()
    assert verdicts(golden)["toy", 1].verdict == ABSENT


def test_an_altered_fixture_fails_alone_and_names_the_output(tmp_path):
    golden = write_toys(tmp_path)
    np.savez(golden / "seed20" / "toy.npz", doubled=2 * (np.arange(3.0) + 20) + [0, 1e-3, 0], count=3)
    lines = verdicts(golden)
    assert lines["toy", 20].verdict == FAILED
    assert lines["toy", 20].output.error == pytest.approx(1e-3)
    assert "doubled 1.00e-03 > 1.00e-06" in lines["toy", 20].note
    assert lines["toy", 1].verdict == lines["geometry/toy", None].verdict == OK


@pytest.mark.parametrize(("arrays", "message"), [
    ({"count": 3}, "doubled"), ({"doubled": np.zeros(4), "count": 3}, r"shape \(3,\), the golden one \(4,\)"),
    ({"doubled": np.full(3, np.nan), "count": 3}, "inf > "),
])  # fmt: skip
def test_a_fixture_that_cannot_be_compared_fails_with_the_reason(tmp_path, arrays, message):
    golden = write_toys(tmp_path)
    np.savez(golden / "seed1" / "toy.npz", **arrays)
    line = verdicts(golden)["toy", 1]
    assert line.verdict == FAILED
    assert re.search(message, line.note)


def test_a_folder_that_is_absent_or_empty_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no golden fixtures at .*nowhere.*GOLDEN=FOLDER"):
        list(run(tmp_path / "nowhere", TOY))
    with pytest.raises(ValueError, match="not in the goldens' form"):
        list(run(tmp_path, TOY))
    golden = write_toys(tmp_path)
    (golden / "fill.py").unlink()
    assert "fill.py" in verdicts(golden)["toy", 1].note


def test_the_worst_output_is_the_one_nearest_its_tolerance():
    far, near = Output("far", 1e-3, 1.0), Output("near", 1e-6, 2e-6)
    assert worst([far, near]) is near
    assert worst([near, Output("exact", 1.0, 0.0)]).name == "exact"
    assert Output("equal", 0.0, 0.0).ok
    assert not Output("nan", float("inf"), 1.0).ok


def test_every_registered_check_resolves():
    assert all(callable(resolve(CHECKS, name, "fixture")) for name in CHECKS)


@pytest.fixture(scope="module")
def goldens(tmp_path_factory):
    """A writable copy of the geometry fixtures."""
    source, copy = shared("golden"), tmp_path_factory.mktemp("shared") / "golden"
    shutil.copytree(source / "geometry", copy / "geometry")
    shutil.copyfile(source / "fill.py", copy / "fill.py")
    return copy


def test_the_published_geometry_is_ours(goldens):
    geometry = {name: check for name, check in CHECKS.items() if name.startswith(GEOMETRY)}
    lines = list(run(goldens, geometry))
    assert {line.name: line.verdict for line in lines} == dict.fromkeys(geometry, OK)
    assert not list(goldens.rglob("*.pyc"))


@pytest.mark.parametrize(("name", "output"), [
    ("deca", "parameters"), ("deep3d", "coeffs"), ("arcface", "embedding"), ("fan", "decoded_image_xy"),
])  # fmt: skip
def test_the_published_networks_are_ours_and_a_small_change_is_seen(tmp_path, name, output):
    stored, golden = shared(f"golden/seed1/{name}.npz"), tmp_path / "golden"
    (golden / "seed1").mkdir(parents=True)
    shutil.copyfile(shared("golden/fill.py"), golden / "fill.py")
    (tmp_path / "manifests").symlink_to(shared("manifests"))
    shutil.copyfile(stored, golden / "seed1" / stored.name)
    (line,) = run(golden, {name: CHECKS[name]})
    assert (line.verdict, line.seed) == (OK, 1)
    with np.load(stored) as file:
        arrays = dict(file)
    arrays[output][0, -1] += 1e-3
    np.savez(golden / "seed1" / stored.name, **arrays)
    (line,) = run(golden, {name: CHECKS[name]})
    assert line.verdict == FAILED
    assert line.note.startswith(output)


@pytest.mark.parametrize(("name", "array", "change"), [
    ("deca_crop", "tform", 1e-5), ("deca_crop", "points_image", 1e-4), ("deca_crop", "crop_sub", 1e-3),
    ("deep3d", "trans_params", 1e-2), ("deep3d", "aligned", 3), ("deep3d", "projected", 1e-2),
    ("flame_lbs", "vertices", 1e-4), ("flame_lbs", "joints", 1e-4), ("flame_lbs", "contour_bin", 1),
    ("metrics", "fid", 1e-2), ("metrics", "csim_matrix", 1e-4),
    ("video_preprocessing", "increased", 1), ("video_preprocessing", "frames_3", 1),
    ("video_preprocessing", "resize_up_150x120_sub", 3),
])  # fmt: skip
def test_a_small_change_of_a_golden_number_is_seen(goldens, tmp_path, name, array, change):
    folder = tmp_path / "golden"
    (folder / "geometry").mkdir(parents=True)
    shutil.copyfile(goldens / "fill.py", folder / "fill.py")
    with np.load(goldens / "geometry" / f"{name}.npz") as stored:
        arrays = dict(stored)
    altered = arrays[array].copy()
    altered.flat[altered.size // 2] += change
    np.savez(folder / "geometry" / f"{name}.npz", **{**arrays, array: altered})
    key = f"geometry/{name}"
    (line,) = run(folder, {key: CHECKS[key]})
    assert line.verdict == FAILED
    assert line.note.startswith(array.removesuffix("_sub").removesuffix("_image")[:4])


def test_the_command_exits_with_the_verdict(tmp_path):
    golden = write_toys(tmp_path)
    np.savez(golden / "geometry" / "metrics.npz", fid_features_a=np.zeros((3, 2)))

    def parity(folder: Path) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "tests.parity", str(folder)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})

    failing, absent = parity(golden), parity(tmp_path / "nowhere")
    assert failing.returncode == 1
    assert "geometry/metrics" in failing.stdout
    geometry = sum(name.startswith(GEOMETRY) for name in CHECKS)
    absent_here = geometry - 1 + 2 * (len(CHECKS) - geometry)  # two seeds
    assert f"0 ok, 1 FAILED, 5 not yet, {absent_here} absent" in failing.stdout.splitlines()[-1]
    assert absent.returncode == 2
    assert absent.stderr.count("\n") == 1
