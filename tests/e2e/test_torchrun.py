"""A row that torchrun's processes train: as by those that a row starts itself, and nothing is lost when one goes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML

from benchmarks.losses import difference
from model.training.resume import CheckpointStore, step_of
from tests.helpers import ROOT
from tests.row_inputs import row_inputs

pytestmark = pytest.mark.slow

ITERATIONS, EVERY = 24, 3
ROW = "toy64.head.neural_codes"
LAUNCHER = ("torch.distributed.run", "--standalone", "--nproc-per-node")
STOPPED_WITHIN_S = 30.0  # launchers kill then
LOST_WITHIN_S = 60.0  # torchrun itself waits up to half of it for those that are left
PLAYERS = ("generator", "discriminator")
# Of the players' losses: in the first step, and in all. White noise carries rounding further than pictures do, which
# torchrun's processes follow to 1e-4 for twenty steps (tests/unit/model/training/test_shared_norm.py).
FIRST_CLOSE, CLOSE = 1e-5, 1e-2
RATE_SHARE = 1e-3  # of the recipe's, at which rounding would reach the first digit


@dataclass
class Project:
    """Inputs of a row, and what runs of it have left below a folder each."""

    root: Path
    running: list[subprocess.Popen] = field(default_factory=list)

    def command(self, name: str, processes: int, statistics: str = "by_device", device: str = "cpu") -> list[str]:
        """Train the row into a folder, with a recipe of so many processes."""
        yaml = YAML()
        tree = yaml.load((ROOT / "tests" / "data" / "small.yaml").read_text())
        recipe = tree["recipes"]["toy64"]
        recipe.update(iterations=ITERATIONS, batch_size=4)
        recipe["run"].update(cpu_processes=processes, checkpoint_every=EVERY, log_every=1)
        for player in ("generator", "discriminator", "codes"):
            tree["networks"]["toy64"]["pwm"]["learning_rate"][player] *= RATE_SHARE
        params = self.root / name / "params.yaml"
        params.parent.mkdir(exist_ok=True)
        yaml.dump(tree, params)
        return [
            "stages.train", "--row", ROW, "--params", str(params), "--clips", str(self.root / "train"),
            "--fits", str(self.root / "fits.parquet"), "--heads", str(self.root), "--out", str(self.out(name)),
            "--device", device, "--statistics", statistics,
        ]  # fmt: skip

    def start(self, name: str, launched: int, command: list[str], **variables: str) -> subprocess.Popen:
        """Start a command alone, or by torchrun as so many processes; what it says goes to a file."""
        before = [*LAUNCHER, str(launched), "-m"] if launched else []
        env = {**os.environ, "DVC_ROOT": str(self.root / name), "OMP_NUM_THREADS": "1", **variables}
        with self.log(name).open("a") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", *before, *command], cwd=ROOT, env=env, stdout=log, stderr=log
            )
        self.running.append(started)
        return started

    def finish(self, name: str, launched: int, command: list[str]) -> None:
        """Run a command to its end."""
        assert self.start(name, launched, command).wait(timeout=600) == 0, self.said(name)

    def out(self, name: str) -> Path:
        return self.root / name / "out"

    def log(self, name: str) -> Path:
        return self.root / f"{name}.log"

    def said(self, name: str) -> str:
        return self.log(name).read_text()

    def made(self, name: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.out(name).iterdir())}

    def states(self, name: str) -> list[int]:
        """Steps of the states that a run has kept, newest first."""
        (*_, folder) = [Path(), *(self.root / name).glob("data/scratch/*/train/*")]
        return [step_of(path) for path in CheckpointStore(folder).states()] if folder.name else []

    def until(self, seen: Callable[[], bool], run: subprocess.Popen, seconds: float = 300) -> None:
        """Wait for something to be seen while a command runs."""
        last = time.monotonic() + seconds
        while not seen():
            assert run.poll() is None
            assert time.monotonic() < last
            time.sleep(0.05)

    def end(self) -> None:
        """End what is still running; torchrun ends what it started."""
        for run in self.running:
            if run.poll() is None:
                ranks = ranks_of(run)
                run.terminate()
                run.wait(timeout=60)
                for pid in ranks.values():
                    if parent_of(pid) == run.pid:
                        os.kill(pid, signal.SIGKILL)


def parent_of(pid: int) -> int:
    try:
        return int(Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def ranks_of(launcher: subprocess.Popen) -> dict[int, int]:
    """Rank -> process, of those that a launcher has started."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if parent_of(int(folder.name)) != launcher.pid:
            continue
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        found |= {int(text[5:]): int(folder.name) for text in variables if text.startswith(b"RANK=")}
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Iterator[Project]:
    root = tmp_path_factory.mktemp("launched")
    row_inputs(root, turn=0.2)
    made = Project(root)
    yield made
    made.end()


@pytest.fixture(scope="module")
def undisturbed(project) -> dict[str, bytes]:
    """What two processes of torchrun make."""
    project.finish("undisturbed", 2, project.command("undisturbed", 2))
    return project.made("undisturbed")


def curve(files: dict[str, bytes]) -> list[dict[str, float]]:
    """The players' losses of every step."""
    header, *rows = [line.split(",") for line in files["curve.csv"].decode().splitlines()]
    return [{name: float(v) for name, v in zip(header, row, strict=True) if name in PLAYERS} for row in rows]


def test_two_processes_make_what_two_of_the_rows_own_make(project, undisturbed):
    project.finish("own2", 0, project.command("own2", 2))
    assert sorted(undisturbed) == ["config.json", "curve.csv", "weights.safetensors"]
    assert project.made("own2") == undisturbed


def test_four_processes_make_what_four_of_the_rows_own_make(project):
    for name, launched in (("launched4", 4), ("own4", 0)):
        project.finish(name, launched, project.command(name, 4))
    assert project.made("launched4") == project.made("own4")


def test_with_shared_statistics_any_number_of_processes_follows_one(project, undisturbed):
    for name, launched in (("alone", 0), ("shared2", 2), ("shared4", 4)):
        project.finish(name, launched, project.command(name, 1, "batch"))
    alone, *teams = (curve(project.made(name)) for name in ("alone", "shared2", "shared4"))
    assert len(alone) == ITERATIONS
    for losses in teams:
        assert difference(losses[:1], alone[:1]) < FIRST_CLOSE
        assert 0 < difference(losses, alone) < CLOSE
    assert difference(curve(undisturbed)[:1], alone[:1]) > FIRST_CLOSE  # where each normalises by its own share


def test_a_rank_that_dies_ends_the_run_and_the_next_goes_on(project, undisturbed):
    command = project.command("lost", 2)
    run = project.start("lost", 2, command)
    project.until(lambda: bool(project.states("lost")), run)
    os.kill(ranks_of(run)[1], signal.SIGKILL)
    assert run.wait(timeout=LOST_WITHIN_S)
    assert "error: a training process was lost (" in project.said("lost")
    assert "run it again to resume" in project.said("lost")
    kept = project.states("lost")
    assert 0 < kept[0] < ITERATIONS
    assert not (project.out("lost") / "weights.safetensors").exists()
    project.finish("lost", 2, command)
    assert f"step {ITERATIONS}" in project.said("lost")
    assert project.made("lost") == undisturbed


@pytest.mark.parametrize(("rank", "number"), [(1, signal.SIGTERM), (0, signal.SIGUSR1)])
def test_a_signal_to_any_rank_stops_all_with_their_state_kept(project, undisturbed, rank, number):
    name = f"asked.{rank}.{number.name}"
    command = project.command(name, 2)
    run = project.start(name, 2, command)
    project.until(lambda: bool(project.states(name)), run)
    os.kill(ranks_of(run)[rank], number)
    assert run.wait(timeout=STOPPED_WITHIN_S)
    (step,) = {int(line.split()[4]) for line in project.said(name).splitlines() if "training stopped after" in line}
    assert project.states(name)[0] == step
    assert 0 < step < ITERATIONS
    project.finish(name, 2, command)
    assert project.made(name) == undisturbed


def test_a_launcher_that_is_told_to_end_ends_all_with_their_state_kept(project, undisturbed):
    command = project.command("told", 2)
    run = project.start("told", 2, command)
    project.until(lambda: bool(project.states("told")), run)
    ranks = ranks_of(run)
    run.terminate()
    assert run.wait(timeout=STOPPED_WITHIN_S)
    assert not any(Path("/proc", str(pid)).exists() for pid in ranks.values())
    assert "training stopped after step" in project.said("told")
    project.finish("told", 2, command)
    assert project.made("told") == undisturbed


def test_another_number_of_processes_is_refused_and_what_is_kept_stays(project):
    command = project.command("number", 2)
    project.finish("number", 2, command)
    states = project.states("number")
    shutil.rmtree(project.out("number"))
    assert project.start("number", 4, command).wait(timeout=300)
    assert "is of 2 processes, and 4 would go on: start 2, or remove the folder" in project.said("number")
    assert project.states("number") == states


def test_a_port_in_use_is_one_message(project):
    """As of a launcher that gives processes a port but does not look at it, which torchrun does."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}
        run = project.start("port", 0, project.command("port", 2), **place)
        assert run.wait(timeout=120) == 2
    wanted = f"error: process 1 of 2 cannot meet the others at 127.0.0.1:{port}: the port is in use: choose another"
    assert [line for line in project.said("port").splitlines() if "error" in line.lower()][0].startswith(wanted)
    assert "Traceback" not in project.said("port")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_one_process_that_torchrun_starts_trains_on_its_gpu_by_nccl(project):
    """Which is all that a machine with one GPU can show: they meet, share statistics, keep states, and part."""
    for name, launched in (("gpu", 0), ("gpu1", 1)):
        project.finish(name, launched, project.command(name, 1, device="cuda"))
    alone, one = (curve(project.made(name)) for name in ("gpu", "gpu1"))
    assert difference(one[:1], alone[:1]) < FIRST_CLOSE
    assert difference(one, alone) < CLOSE
    assert project.states("gpu1")[0] == ITERATIONS
