"""Processes that train together do one batch's work and stay equal; a lost one is named."""

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest
import torch

from model.method.network import Batch
from model.training import loop
from model.training.loop import Players, train_step
from model.training.replicas import ALONE, Replicas, replicas
from model.training.resume import CheckpointStore
from tests.toy_networks import CPU, batch_at, lesson, state_of, train_config

SHARES = 2  # pairs of the whole batch: batch_at makes two, one for each process


def share_at(team: Replicas, step: int) -> Batch:
    rows, whole = slice(team.rank, None, team.count), batch_at(step)
    return Batch(whole.source[rows], whole.target[rows], {name: s[rows] for name, s in whole.signals.items()})


def take_a_step(team: Replicas, folder: str) -> None:
    """One step in eval mode, where a share is normalised like the whole; gradients go to a file."""
    made = lesson()
    made.network.eval(), made.rivals.eval()
    players = Players.make(made, train_config(), CPU)
    torch.set_num_threads(1)
    values = train_step(players, share_at(team, 0), train_config(), CPU, team)
    torch.save({"gradients": players.gradients(), "losses": values}, Path(folder, f"{team.count}.{team.rank}.pt"))


def train(team: Replicas, folder: str, stop_at: int) -> None:
    def stop(step: int, _losses: dict[str, float]) -> None:
        if step == stop_at - (not team.leads):  # a terminal signals both; the other one must not stop before the first
            os.kill(os.getpid(), signal.SIGTERM)

    torch.set_num_threads(1)
    made = lesson()
    store = CheckpointStore(Path(folder))
    try:
        curve = loop.train(made, lambda step: share_at(team, step), train_config(), CPU, store, stop, team)
    finally:
        torch.save(state_of(made), Path(folder, f"state.{team.rank}.pt"))
    torch.save(curve, Path(folder, f"curve.{team.rank}.pt"))


def loaded(folder: Path, name: str) -> dict:
    return torch.load(folder / name)


def test_two_processes_take_the_step_of_the_whole_batch(tmp_path: Path):
    take_a_step(ALONE, str(tmp_path))
    with replicas(SHARES, take_a_step, str(tmp_path)) as team:
        assert (team.rank, team.count, team.leads) == (0, SHARES, True)
        take_a_step(team, str(tmp_path))
    whole, first, second = (loaded(tmp_path, f"{name}.pt") for name in ("1.0", "2.0", "2.1"))
    assert first["losses"] == second["losses"] == pytest.approx(whole["losses"], rel=1e-4, abs=1e-5)
    for alone, one, other in zip(whole["gradients"], first["gradients"], second["gradients"], strict=True):
        assert torch.equal(one, other)
        assert torch.allclose(one, alone, rtol=1e-3, atol=1e-5)


def test_processes_stay_equal_and_a_stopped_run_resumes_bit_for_bit(tmp_path: Path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    with replicas(SHARES, train, str(whole), 0) as team:
        train(team, str(whole), 0)
    with (
        pytest.raises(SystemExit, match="after step 3 of 6"),
        replicas(SHARES, train, str(parts), 3) as team,
    ):
        train(team, str(parts), 3)
    assert CheckpointStore(parts).load()["step"] == 3
    with replicas(SHARES, train, str(parts), 0) as team:
        train(team, str(parts), 0)
    states = [loaded(folder, f"state.{rank}.pt") for folder in (whole, parts) for rank in range(SHARES)]
    for state in states[1:]:
        assert all(torch.equal(value, state[key]) for key, value in states[0].items())
    assert loaded(whole, "curve.0.pt") == loaded(parts, "curve.0.pt") == loaded(whole, "curve.1.pt")


def leave(team: Replicas) -> None:
    os._exit(7)


def wait(team: Replicas, folder: str) -> None:
    Path(folder, "pid").write_text(str(os.getpid()))
    team.average([torch.zeros(1)])
    time.sleep(60)


def test_a_lost_process_is_named():
    with (
        pytest.raises(RuntimeError, match=r"training process 2 of 2 ended with status 7; run it again to resume"),
        replicas(2, leave) as team,
    ):
        team.average([torch.zeros(1)])


class Fatal:
    """Ends the process that unpickles it: one that is lost before it begins."""

    def __reduce__(self) -> tuple:
        return os._exit, (9,)


def test_a_process_that_never_arrives_is_not_waited_for():
    with (
        pytest.raises(RuntimeError, match="training process 2 of 2 ended with status 9"),
        replicas(2, leave, Fatal()),
    ):
        pass


def test_no_process_outlives_an_error(tmp_path: Path):
    def break_after_meeting(team: Replicas) -> None:
        team.average([torch.zeros(1)])
        raise KeyError("broken")

    with pytest.raises(KeyError), replicas(2, wait, str(tmp_path)) as team:
        break_after_meeting(team)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_alone_nothing_is_started_and_nothing_changes():
    with replicas(1, leave) as team:
        value = torch.rand(3)
        before = value.clone()
        team.average([value])
        assert team == ALONE
        assert torch.equal(value, before)


def share_rank(team: Replicas) -> None:
    value = torch.tensor([float(team.rank)])
    team.average([value])
    assert value.item() == 0.5


@pytest.mark.parametrize("name", ["plain", "a b%20#c?d=e:f ä 日本"])
def test_processes_meet_in_a_temporary_folder_of_any_name(name, tmp_path, monkeypatch):
    (tmp_path / name).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / name))
    monkeypatch.setattr(tempfile, "tempdir", None)
    started = time.monotonic()
    with replicas(2, share_rank) as team:
        share_rank(team)
    assert time.monotonic() - started < 120
    assert not list((tmp_path / name).iterdir())
