"""Which assets each stage uses: the tables against what the code asks for, and the files of the stage `weights`."""

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.stand_ins import write_release
from pipeline.instrument_table import INSTRUMENTS, instruments_of
from pipeline.method_table import BASELINES, RETRAINED
from pipeline.methods.release import OFFICIAL as OFFICIAL_SOURCE
from pipeline.metrics.protocols import Opening
from pipeline.metrics.registry import BACKENDS
from pipeline.params.reports import MetricParams
from pipeline.params.tree import Params, load_params
from pipeline.store.assets import AssetRefused
from pipeline.store.registry import resolve
from pipeline.tools.assets import import_files, record
from pipeline.trackers.table import TRACKERS
from pipeline.weights.collect import used_assets, write_weights
from tests.asset_folder import project_with_assets
from tests.helpers import ROOT

FITS = {"deca": "flame", "deep3d": "bfm"}  # which head a tracker is for


class AnyHead:
    """A head of the right name, which is all that is looked at before weights are asked for."""

    def __init__(self, name: str) -> None:
        self.name = name


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Names of assets that the code under test requires; all count as imported, but no network can be made of them."""
    names: list[str] = []

    def recorded_sha256(name: str) -> str:
        names.append(name)
        return "0" * 64

    monkeypatch.setenv("PWM_ASSETS", str(tmp_path))
    monkeypatch.setattr("pipeline.store.assets.recorded_sha256", recorded_sha256)
    return names


@pytest.mark.parametrize("name", sorted(TRACKERS))
def test_a_tracker_asks_for_the_weights_that_its_line_names(name, asked):
    params = load_params(ROOT / "tests" / "data" / "small.yaml").fit
    with contextlib.suppress(Exception):
        tracker = resolve(TRACKERS, name, "tracker")
        tracker.open(AnyHead(FITS.get(name, "puppet")), params, {}, torch.device("cpu"))
    assert set(asked) == set(INSTRUMENTS[name].weights)


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_a_backend_asks_for_the_weights_that_its_line_names(name, asked, monkeypatch):
    monkeypatch.setattr("pipeline.metrics.backends.head_codes.load_head", lambda path: AnyHead(path.stem))
    head = FITS.get(name, "puppet")
    with contextlib.suppress(Exception):
        resolve(BACKENDS, name, "backend").open(Opening({head: Path(f"{head}.npz")}, 0.5, torch.device("cpu")))
    assert set(asked) == set(INSTRUMENTS[name].weights)


OFFICIAL = {f"baseline.{name}": [name] for name in BASELINES if name not in RETRAINED}


def test_every_tracker_and_backend_has_its_line():
    assert set(instruments_of("aed")) == set(instruments_of("apd")) == set(TRACKERS)
    assert {metric for line in INSTRUMENTS.values() for metric in line.metrics} == set(MetricParams.model_fields)


def test_the_stage_is_cheap(tmp_path):
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['weights', '--out', {str(tmp_path)!r}]\n"
        "try: runpy.run_module('stages.weights', run_name='__main__')\n"
        "except SystemExit as end: print('exit', end.code, sorted({'torch', 'numpy', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "exit 0 []" in done.stdout, done.stdout + done.stderr
    assert len(list(tmp_path.glob("*.json"))) == 6 + len(BASELINES)


def changed(params: Params, **sections: object) -> Params:
    return params.model_copy(update=sections)


def test_the_default_profile_uses_no_asset(monkeypatch):
    monkeypatch.chdir(ROOT)
    used = used_assets(load_params(ROOT / "profiles" / "puppets.yaml"))
    consumers = ("heads", "fit.puppet", "fit.puppet_face", "landmarks", "train.toy64", "metrics")
    assert used == {name: [] for name in (*consumers, *(f"baseline.{name}" for name in BASELINES))}


def test_a_profile_with_released_systems_asks_for_their_weights():
    params = load_params(ROOT / "profiles" / "puppets.yaml")
    used = used_assets(changed(params, bench=params.bench.model_copy(update={"baselines": [OFFICIAL_SOURCE]})))
    assert {name: used[name] for name in OFFICIAL} == OFFICIAL
    assert used["baseline.headgan"] == []


def test_a_published_system_that_is_trained_is_judged_by_its_own_section():
    params = load_params(ROOT / "profiles" / "puppets.yaml")
    section = params.networks["toy64"].headgan
    vgg = section.perceptual.model_copy(update={"backbone": "vgg19_first", "weights": "vgg19"})
    networks = params.networks["toy64"].model_copy(update={"headgan": section.model_copy(update={"perceptual": vgg})})
    bench = params.bench.model_copy(update={"baselines": [OFFICIAL_SOURCE, "toy64"]})
    used = used_assets(changed(params, bench=bench, networks={"toy64": networks}))
    assert (used["baseline.headgan"], used["baseline.fomm"], used["train.toy64"]) == (
        ["headgan", "vgg19"],
        ["fomm"],
        [],
    )
    shipped = vgg.model_copy(update={"weights": "somewhere/else.pth"})
    networks = networks.model_copy(update={"headgan": section.model_copy(update={"perceptual": shipped})})
    with pytest.raises(ValueError, match=r"networks\.toy64\.headgan\.perceptual\.weights: DVC does not watch"):
        used_assets(changed(params, bench=bench, networks={"toy64": networks}))


def test_the_papers_profile_uses_what_its_page_lists():
    used = used_assets(load_params(ROOT / "profiles" / "voxceleb.yaml"))
    assert used == OFFICIAL | {
        "heads": ["bfm", "flame"],
        "fit.flame": ["deca", "fan", "s3fd"],
        "fit.bfm": ["deep3d", "fan", "s3fd"],
        "landmarks": [],
        "train.paper256": ["vgg19"],
        "baseline.headgan": ["vgg19"],
        "metrics": ["arcface", "deca", "deep3d", "fan", "inception", "lpips_alex", "s3fd"],
    }


def test_the_landmarks_of_bare_videos_ask_for_the_mesh():
    params = load_params(ROOT / "profiles" / "own.yaml")
    assert used_assets(params)["landmarks"] == ["blazeface", "face_mesh"]


def test_open_instruments_are_listed_and_a_metric_that_is_null_uses_nothing():
    params = load_params(ROOT / "profiles" / "voxceleb.yaml")
    backends = {
        "fid": {"backend": "efficientnet_lite0"},
        "csim": {"backend": "dlib_resnet"},
        "lpips": None,
        "feature_distance": {"backend": "efficientnet_lite0"},
    }
    metrics = type(params.metrics).model_validate(params.metrics.model_dump() | backends)
    used = used_assets(changed(params, metrics=metrics))["metrics"]
    assert used == ["deca", "deep3d", "dlib_resnet", "efficientnet_lite0", "fan", "s3fd"]


def test_a_head_that_lies_in_the_folder_of_heads_uses_no_asset(tmp_path):
    params = load_params(ROOT / "profiles" / "voxceleb.yaml")
    params = changed(params, data=params.data.model_copy(update={"root": str(tmp_path)}))
    (tmp_path / params.data.heads).mkdir()
    (tmp_path / params.data.heads / "flame.npz").touch()
    assert used_assets(params)["heads"] == ["bfm"]


def with_perceptual(params: Params, weights: str) -> Params:
    networks = params.networks[params.bench.recipe]
    perceptual = networks.pwm.perceptual.model_copy(update={"weights": weights})
    networks = networks.model_copy(update={"pwm": networks.pwm.model_copy(update={"perceptual": perceptual})})
    return changed(params, networks={**params.networks, params.bench.recipe: networks})


def test_a_perceptual_network_that_dvc_cannot_see_is_refused():
    params = load_params(ROOT / "profiles" / "voxceleb.yaml")
    with pytest.raises(ValueError, match=r"networks\.paper256\.pwm\.perceptual\.weights: DVC does not watch '../vgg19"):
        used_assets(with_perceptual(params, "../vgg19.pth"))
    with pytest.raises(ValueError, match=r"unknown asset 'vgg18': expected one of"):
        used_assets(with_perceptual(params, "vgg18"))


def test_a_path_into_the_assets_folder_means_the_asset(tmp_path, monkeypatch):
    """So earlier runs named it, and their recipes need not change."""
    params = load_params(ROOT / "profiles" / "voxceleb.yaml")
    monkeypatch.setenv("PWM_ASSETS", str(tmp_path))
    for path in ("data/assets/vgg19.pth", f"{tmp_path}/vgg19.pth"):
        assert used_assets(with_perceptual(params, path))["train.paper256"] == ["vgg19"]


def hashes(folder: Path) -> dict[str, dict[str, str | None]]:
    return {path.stem: json.loads(path.read_text()) for path in folder.iterdir()}


def test_another_release_changes_the_files_of_those_who_use_it(tmp_path, monkeypatch):
    assets = project_with_assets(monkeypatch, tmp_path / "project")
    params, out = load_params(ROOT / "profiles" / "voxceleb.yaml"), Path("data/weights")
    out.mkdir(parents=True)
    (out / "train.another.json").write_text("{}")  # of other parameters
    write_weights(params, out)
    before = hashes(out)
    assert set(before) == set(used_assets(params))
    assert not any(value for found in before.values() for value in found.values())

    release = tmp_path / "release"
    users = {
        "vgg19": {"baseline.headgan", "train.paper256"},
        "deca": {"fit.flame", "metrics"},
        "fan": {"fit.flame", "fit.bfm", "metrics"},
    }
    for name, expected in {**users, "ict": set()}.items():
        if name == "ict":  # a head of no profile that is open here: its record alone changes
            shutil.copyfile(ROOT / "pipeline/puppets/assets/puppet.npz", assets / "ict.npz")
            record([name])
        else:
            import_files(name, [write_release(release, name)])
        write_weights(params, out)
        after = hashes(out)
        assert {consumer for consumer in after if after[consumer] != before[consumer]} == expected, name
        before = after

    (assets / "fan.pth").write_text("swapped")
    with pytest.raises(AssetRefused, match=r"fan\.pth has sha256"):
        write_weights(params, out)
    assert hashes(out) == before
