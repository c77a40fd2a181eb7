"""Runs that are looked at: tables that grow, pictures, and what stops a run; the weights are those of any other run."""

import csv
import io
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from model.method.lesson import ParamGroup
from model.method.network import Batch
from model.training.loop import TrainingDiverged
from pipeline.params.tree import load_params
from pipeline.store.scratch_root import scratch_root
from pipeline.training import collapse, row
from pipeline.training.collapse import TrainingCollapsed
from pipeline.training.observers import Guarded, learning_rates
from pipeline.training.row import train_row
from pipeline.training.underway import Underway
from tests.helpers import ROOT
from tests.row_inputs import PERSON, row_inputs
from tests.toy_networks import train_config

CPU = torch.device("cpu")


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return row_inputs(tmp_path_factory.mktemp("row"), turn=0.2)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)  # the parameters name perceptual weights from there
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))


def train(
    inputs, out: Path, watched=None, processes: int = 1, pixel: float = 30.0, rate: float | None = None, **more: object
) -> None:
    """Train five steps with a state every two; `watched` is called after each step, once all is written."""
    params = load_params(ROOT / "tests" / "data" / "small.yaml")
    recipe, network = params.recipes["toy64"], params.networks["toy64"].pwm
    bookkeeping = {"cpu_processes": processes, "checkpoint_every": 2, "log_every": 1}
    section = recipe.run.model_copy(update=bookkeeping)
    recipe = recipe.model_copy(update={"iterations": 5, "batch_size": 2, "run": section})
    network = network.model_copy(update={"losses": network.losses.model_copy(update={"pixel": pixel})})

    if rate is not None:
        rates = network.learning_rate.model_copy(update={"generator": rate})
        network = network.model_copy(update={"learning_rate": rates})

    @contextmanager
    def told(_label: str, _total: int, shown: bool = True):
        yield watched or (lambda _step, _losses: None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row, "progress", told)
        train_row("toy64.x.neural_codes", "neural_codes", recipe, network, inputs, out, CPU, **more)


def rows_of(path: Path) -> list[dict[str, str]]:
    text = path.read_text()
    assert text.endswith("\n")
    return list(csv.DictReader(io.StringIO(text)))


def in_scratch(pattern: str) -> Path:
    (found,) = scratch_root().glob(f"*/train/*/{pattern}")
    return found


def test_the_curve_grows_where_plots_look_for_it(inputs, tmp_path):
    seen = []
    train(inputs, tmp_path / "out", lambda step, _: seen.append((step, rows_of(tmp_path / "out" / "curve.csv"))))
    assert [[int(row["step"]) for row in rows] for _, rows in seen] == [
        list(range(1, step + 1)) for step in range(1, 6)
    ]
    assert rows_of(tmp_path / "out" / "curve.csv") == seen[-1][1]
    assert list(seen[0][1][0])[:3] == ["step", "generator", "discriminator"]


def test_a_run_that_was_killed_ends_with_the_tables_of_one_that_was_not(inputs, tmp_path, monkeypatch):
    def kill(step: int, _losses: object) -> None:
        if step == 4:
            raise Killed

    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "whole"))
    train(inputs, tmp_path / "whole" / "out")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "parts"))
    with pytest.raises(Killed):
        train(inputs, tmp_path / "parts" / "out", kill)
    assert [row["step"] for row in rows_of(in_scratch("speed.csv"))] == ["1", "2", "3", "4"]
    with in_scratch("speed.csv").open("a") as stream:
        stream.write("5,12")  # the process died as it wrote
    train(inputs, tmp_path / "parts" / "new")  # DVC removes a stage's outputs before it runs again
    for name in ("curve.csv", "weights.safetensors", "config.json"):
        assert (tmp_path / "parts" / "new" / name).read_bytes() == (tmp_path / "whole" / "out" / name).read_bytes()
    speed = rows_of(in_scratch("speed.csv"))
    assert [row["step"] for row in speed] == ["1", "2", "3", "4", "5"]
    assert all(row["gpu_memory_mib"] == "" and float(row["images_per_s"]) > 0 for row in speed)
    assert all(0 <= float(row["data_wait_share"]) <= 1 for row in speed)
    rates = load_params(ROOT / "tests" / "data" / "small.yaml").networks["toy64"].pwm.learning_rate
    drops = [sum(step >= drop for drop in rates.drop_steps) for step in range(5)]
    assert [float(row["learning_rate.generator"]) for row in speed] == pytest.approx(
        [rates.generator * rates.drop_factor**drop for drop in drops], rel=1e-5
    )
    assert [float(row["learning_rate.generator.2"]) for row in speed][0] == pytest.approx(rates.codes)
    before = [path.read_bytes() for path in sorted((tmp_path / "parts" / "new").iterdir())]
    train(inputs, tmp_path / "parts" / "new")  # a finished run is only written out
    assert [path.read_bytes() for path in sorted((tmp_path / "parts" / "new").iterdir())] == before
    assert rows_of(in_scratch("speed.csv")) == speed


@pytest.mark.parametrize("processes", [1, 2])
def test_pictures_change_no_byte_of_what_is_trained(inputs, tmp_path, monkeypatch, processes):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "plain"))
    train(inputs, tmp_path / "plain" / "out", processes=processes)
    assert not list(scratch_root().rglob("*.png"))
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "shown"))
    train(inputs, tmp_path / "shown" / "out", processes=processes, previews_every=2)
    for name in ("curve.csv", "weights.safetensors", "config.json"):
        assert (tmp_path / "shown" / "out" / name).read_bytes() == (tmp_path / "plain" / "out" / name).read_bytes()
    previews = in_scratch("previews")
    assert sorted(path.name for path in previews.glob("*.png")) == ["00000002.png", "00000004.png", "00000005.png"]
    from pipeline.store.shown import may_show

    assert may_show(previews, PERSON)
    assert not may_show(previews, "somebody else")


def test_a_sheet_shows_what_goes_in_and_what_comes_out(inputs, tmp_path, monkeypatch):
    from pipeline.watching import previews

    drawn = []
    monkeypatch.setattr(previews, "sheet", lambda *args: drawn.append(args) or Image.new("RGB", (8, 8)))
    train(inputs, tmp_path / "out", previews_every=5)
    (title, headers, lines) = drawn[0]
    assert "step 5 of 5" in title
    wanted = ["source", "driving", "guidance: codes", "displacement", "warped source", "output"]
    assert headers == wanted
    assert len(lines) == 4
    assert all(panel.shape == (64, 64, 3) and panel.dtype == "uint8" for _, panels in lines for panel in panels)


@pytest.fixture
def still(monkeypatch):
    """No change of images is enough, from the first step on."""
    monkeypatch.setattr(collapse, "STATIC_CHANGE", 2.0)  # more than images can change
    monkeypatch.setattr(collapse, "STATIC_START_STEPS", 0)
    monkeypatch.setattr(collapse, "STATIC_START_SHARE", 0)


@pytest.mark.usefixtures("still")
def test_a_run_whose_pictures_stand_still_is_stopped_with_what_is_left_of_it(inputs, tmp_path):
    wanted = (
        r"toy64\.x\.neural_codes: training collapsed: at step 3 .*; they never did; .* is of step 2; kept in .*train"
    )
    with pytest.raises(TrainingCollapsed, match=wanted):
        train(inputs, tmp_path / "out")
    assert [row["step"] for row in rows_of(tmp_path / "out" / "curve.csv")] == ["1", "2", "3"]
    assert not (tmp_path / "out" / "weights.safetensors").exists()


@pytest.mark.parametrize("name", ["out/curve.csv", "data/scratch/*/train/*/speed.csv"])
def test_a_full_disk_is_said_with_the_file_and_costs_the_steps_since_the_last_state(
    inputs, tmp_path, monkeypatch, name
):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "whole"))
    train(inputs, tmp_path / "whole" / "out")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "full"))

    def fill(step: int, _losses: object) -> None:
        if step == 3:
            (table,) = (tmp_path / "full").glob(name)
            table.unlink()
            table.symlink_to("/dev/full")

    with pytest.raises(RuntimeError, match=rf"{name.rpartition('/')[2]} cannot be written \(No space left.*make room"):
        train(inputs, tmp_path / "full" / "out", fill)
    (table,) = (tmp_path / "full").glob(name)
    table.unlink()
    assert in_scratch("state-*").name.split("-")[1] == "000000002"
    train(inputs, tmp_path / "full" / "out")
    for name in ("curve.csv", "weights.safetensors", "config.json"):
        assert (tmp_path / "full" / "out" / name).read_bytes() == (tmp_path / "whole" / "out" / name).read_bytes()


@pytest.mark.usefixtures("still")
def test_a_published_system_whose_pictures_stand_still_is_stopped_too(inputs, tmp_path):
    params = load_params(ROOT / "tests" / "data" / "small.yaml")
    section = params.recipes["toy64"].run.model_copy(update={"cpu_processes": 1, "checkpoint_every": 2})
    recipe = params.recipes["toy64"].model_copy(update={"iterations": 5, "batch_size": 2, "run": section})
    job = ("toy64.headgan", "", recipe, params.networks["toy64"].headgan, inputs, tmp_path / "out", CPU, "headgan")
    with pytest.raises(TrainingCollapsed, match=r"^toy64\.headgan: training collapsed: at step 3 .*is of step 2"):
        train_row(*job)


class Unrivalled:
    """A lesson in which nobody tells true images from made ones."""

    def __init__(self) -> None:
        self.network = nn.Identity()

    def players(self):
        return {"generator": [ParamGroup([], 1e-3)]}


def test_a_lesson_without_a_discriminator_is_observed_as_well(capsys):
    config = train_config(iterations=600, checkpoint_every=10_000)
    batch = Batch(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4), {"driving": torch.rand(2, 3)})
    run = Underway("row", Path(), Unrivalled(), batch, frozenset(), config, CPU, lambda: 0.0)
    guarded = Guarded(run, adversarial=True)
    with row.progress("row", 600) as report:
        for step in range(1, 601):
            guarded.after_step(step, {"generator": 0.0, "pixel": 0.25})
        report(600, {"generator": 0.5, "pixel": 0.25})
    assert "step 600/600  generator 0.500  " in capsys.readouterr().err
    assert learning_rates(run, 1) == {"learning_rate.generator": 1e-3}


def test_a_loss_that_is_not_finite_says_what_is_left(inputs, tmp_path):
    wanted = r"^toy64\.x\.neural_codes: training diverged: generator not finite.* No state was kept before\.$"
    with pytest.raises(TrainingDiverged, match=wanted):
        train(inputs, tmp_path / "out", pixel=float("inf"))
    assert not (tmp_path / "out" / "curve.csv").exists()


@pytest.mark.parametrize("processes", [1, 2])
def test_weights_that_overflow_end_in_a_message(inputs, tmp_path, processes):
    """Seen once: the sampler's backward pass ended the process, before anybody looked at a loss."""
    wanted = r"not finite.*(No state was kept before\.|is of step 2; kept in )"
    with pytest.raises(TrainingDiverged, match=wanted):
        train(inputs, tmp_path / "out", rate=1e30, processes=processes)
