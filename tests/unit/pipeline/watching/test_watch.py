"""A watcher measures a run's states and changes no byte of what is trained."""

import csv
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from model.frame.coords import tensor_to_frames
from model.method.files import read_config
from pipeline.bench.generate import PairRunner
from pipeline.bench.pair_frames import load_pair_frames
from pipeline.methods.runner import Files
from pipeline.params.tree import Params, load_params
from pipeline.published.models import Workshop
from pipeline.store.schema import PAIRS, read_table
from pipeline.store.scratch_root import scratch_root
from pipeline.training import row
from pipeline.training.row import train_row
from pipeline.watching.watch import trained_rows, watch, watched, write_thinned
from tests.helpers import ROOT
from tests.row_inputs import project_data

CPU = torch.device("cpu")
ROW = "toy64.bumpy_sphere.neural_codes"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "data"
    project_data(folder, turn=0.2)
    return folder


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)  # the parameters name weights from there
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))


def params(ema: float | None = None) -> Params:
    """Five steps, a state every two."""
    found = load_params(ROOT / "tests" / "data" / "small.yaml")
    names = {"head": "bumpy_sphere"}
    run = found.recipes["toy64"].run.model_copy(
        update={"cpu_processes": 1, "checkpoint_every": 2, "log_every": 1, "ema": ema}
    )
    recipe = found.recipes["toy64"].model_copy(update={"iterations": 5, "batch_size": 2, "run": run})
    return found.model_copy(
        update={
            "recipes": {"toy64": recipe},
            "bench": found.bench.model_copy(update={**names, "head2": "puppet_face", "baselines": ["toy64"]}),
            "model": found.model.model_copy(update={**names, "guidance": "neural_codes"}),
        }
    )


def train(data: Path, out: Path, ema: float | None = None, told=None) -> None:
    @contextmanager
    def progress(_label: str, _total: int, shown: bool = True):
        yield told or (lambda _step, _losses: None)

    made, run = params(ema), watched(params(ema), ROW, None, data, 8, CPU)
    job = (ROW, "neural_codes", made.recipes["toy64"], made.networks["toy64"].pwm, run.inputs, out, CPU)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row, "progress", progress)
        train_row(*job)


def publish(data: Path, out: Path, told=None, previews_every: int = 0) -> None:
    """Train a published system, as the stage `baseline` does."""

    @contextmanager
    def progress(_label: str, _total: int, shown: bool = True):
        yield told or (lambda _step, _losses: None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row, "progress", progress)
        Workshop(params(), data, "cpu", previews_every=previews_every).write_models("headgan", out)


def watched_csv() -> list[dict[str, str]]:
    (path,) = scratch_root().glob("*/train/*/watched.csv")
    return list(csv.DictReader(path.open()))


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_weights_are_the_same_with_a_watcher_and_without(data, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "alone"))
    train(data, tmp_path / "alone" / "out")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "seen"))
    run, seen = watched(params(), ROW, None, data, 8, CPU), []

    def look(step: int, _losses: object) -> None:
        if step in (3, 5):
            seen.extend(watch(run, wait=False))  # of the state before

    train(data, tmp_path / "seen" / "out", told=look)
    assert files_of(tmp_path / "seen" / "out") == files_of(tmp_path / "alone" / "out")
    seen.extend(watch(run, wait=True))  # ends, as the run has ended
    assert [found["step"] for found in seen] == [2, 4, 5]
    assert [found["step"] for found in watched_csv()] == ["2", "4", "5"]
    again = list(watch(run, wait=True))  # nothing is measured twice
    assert again == [watched_csv()[-1]]
    assert seen[-1]["noise.same.l1"] == pytest.approx(l1_of(tmp_path / "seen" / "out", data), rel=1e-6)
    assert seen[0]["noise.same.l1"] != seen[-1]["noise.same.l1"]
    assert seen[-1]["noise.same.aed"] is None  # no tracker of this head
    assert watched_csv()[-1]["noise.same.aed"] == ""


def test_a_published_system_that_is_trained_is_seen_like_any_row(data, tmp_path, monkeypatch):
    """Its curve, its speed, its pictures and its scores; its weights are the same with and without."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "alone"))
    publish(data, tmp_path / "alone" / "out")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "seen"))
    run, seen = watched(params(), "toy64.headgan", None, data, 8, CPU), []

    def look(step: int, _losses: object) -> None:
        curve = list(csv.DictReader((tmp_path / "seen" / "out" / "toy64" / "curve.csv").open()))
        assert [int(line["step"]) for line in curve] == list(range(1, step + 1))
        if step == 3:
            seen.extend(watch(run, wait=False))  # of the state before

    publish(data, tmp_path / "seen" / "out", look, previews_every=2)
    assert files_of(tmp_path / "seen" / "out" / "toy64") == files_of(tmp_path / "alone" / "out" / "toy64")
    seen.extend(watch(run, wait=True))
    assert [found["step"] for found in seen] == [2, 5]
    assert [found["step"] for found in watched_csv()] == ["2", "5"]
    wanted = l1_of(tmp_path / "seen" / "out" / "toy64", data)
    assert seen[-1]["noise.same.l1"] == pytest.approx(wanted, rel=1e-6)
    assert seen[0]["noise.same.l1"] != seen[-1]["noise.same.l1"]
    (states,) = scratch_root().glob("*/train/*")
    assert [path.name for path in sorted(states.glob("previews/*.png"))] == [f"0000000{i}.png" for i in (2, 4, 5)]
    speed = list(csv.DictReader((states / "speed.csv").open()))
    assert [line["step"] for line in speed] == ["1", "2", "3", "4", "5"]
    assert float(speed[0]["learning_rate.generator"]) > 0


def test_the_rows_that_can_be_watched_are_those_that_are_trained():
    keys = [found.key for found in trained_rows(params())]
    assert keys[:2] == ["toy64.bumpy_sphere.nmfc", "toy64.bumpy_sphere.geom_disp"]
    assert "toy64.headgan" in keys
    both = params().bench.model_copy(update={"baselines": ["official", "toy64"]})
    assert [found.key for found in trained_rows(params().model_copy(update={"bench": both}))] == keys


def l1_of(model: Path, data: Path) -> float:
    """Mean absolute difference of 8-bit frames over all same-identity pairs, by hand."""
    pairs, _ = load_pair_frames(data / "pairs.parquet", data / "clips" / "eval")
    pairs = pairs.select(np.isin(pairs.pair_id, thinned(data)) & (pairs.task == "same"))
    runner = PairRunner(Files(model, data / "heads", data / "fits", "bumpy_sphere"), pairs.clips, CPU)
    made = tensor_to_frames(runner.animate(pairs, slice(None)).image).numpy().astype(float)
    return float(np.abs(made - np.asarray(pairs.driving_u8[np.arange(len(pairs))]).astype(float)).mean())


def thinned(data: Path, count: int = 8) -> list[str]:
    write_thinned(data / "pairs.parquet", data / "thin.parquet", count)
    return read_table(data / "thin.parquet", PAIRS)["pair_id"].to_pylist()


@pytest.mark.parametrize(("count", "each"), [(8, 4), (2, 1), (5, 2), (1, 1), (1000, 8)])
def test_a_thinned_list_has_equally_many_pairs_of_each_task_in_the_lists_order(data, count, each):
    chosen, whole = thinned(data, count), read_table(data / "pairs.parquet", PAIRS)["pair_id"].to_pylist()
    assert [sum(f".{task}." in name for name in chosen) for task in ("same", "cross")] == [each, each]
    assert chosen == [name for name in whole if name in set(chosen)]


def test_an_average_is_what_is_watched_and_what_is_kept(data, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "plain"))
    train(data, tmp_path / "plain" / "out")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "ema"))

    class Killed(Exception):
        pass

    def kill(step: int, _losses: object) -> None:
        if step == 3:
            raise Killed

    train(data, tmp_path / "ema" / "out", ema=0.5)
    run = watched(params(0.5), ROW, None, data, 8, CPU)
    (last,) = watch(run, wait=True)
    assert last["noise.same.l1"] == pytest.approx(l1_of(tmp_path / "ema" / "out", data), rel=1e-6)
    plain, averaged = (load_file(tmp_path / name / "out" / "weights.safetensors") for name in ("plain", "ema"))
    assert plain.keys() == averaged.keys()
    assert any(not torch.equal(plain[name], averaged[name]) for name in plain)
    curves = {files_of(tmp_path / name / "out")["curve.csv"] for name in ("plain", "ema")}
    assert len(curves) == 1  # what is averaged takes no part in training
    said = [read_config(tmp_path / name / "out")["provenance"]["recipe"]["run"].get("ema") for name in ("plain", "ema")]
    assert said == [None, 0.5]
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "killed"))
    with pytest.raises(Killed):
        train(data, tmp_path / "killed" / "out", ema=0.5, told=kill)
    train(data, tmp_path / "killed" / "out", ema=0.5)
    assert files_of(tmp_path / "killed" / "out") == files_of(tmp_path / "ema" / "out")


def test_a_run_that_is_not_there_is_named(data):
    with pytest.raises(FileNotFoundError, match=r"neural_codes: no state is stored in .*train.* or .*train"):
        list(watch(watched(params(), ROW, None, data, 8, CPU), wait=False))
    with pytest.raises(ValueError, match="--seed 7: .* is trained with 0"):
        watched(params(), ROW, 7, data, 8, CPU)
    with pytest.raises(ValueError, match="no row is called 'toy64.x.nmfc'; rows: "):
        watched(params(), "toy64.x.nmfc", None, data, 8, CPU)
