"""Processes that a launcher starts: what they read of its variables, and what is said where they cannot meet."""

import socket
import subprocess
import sys

import pytest
import torch

from model.training import launched

ADDRESS = "127.0.0.1"


@pytest.fixture
def launcher(monkeypatch):
    """Set a launcher's variables."""

    def variables(rank: str, count: str, port: int = 29500, local: str = "0") -> None:
        found = {
            "RANK": rank,
            "WORLD_SIZE": count,
            "MASTER_ADDR": ADDRESS,
            "MASTER_PORT": str(port),
            "LOCAL_RANK": local,
        }
        for name, value in found.items():
            monkeypatch.setenv(name, value)

    return variables


def test_a_process_that_was_started_alone_speaks_for_all(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    assert not launched.launched()
    assert launched.leads()
    assert launched.own_device(torch.device("cuda")) == torch.device("cuda")


def test_of_several_the_first_speaks(launcher):
    launcher("1", "3")
    assert launched.launched()
    assert launched.world() == (1, 3)
    assert not launched.leads()
    launcher("0", "3")
    assert launched.leads()


@pytest.mark.parametrize(("rank", "count"), [("3", "3"), ("-1", "2"), ("first", "2"), ("0", "two")])
def test_variables_that_do_not_go_together_are_named(rank, count, launcher):
    launcher(rank, count)
    with pytest.raises(ValueError, match=f"a launcher set RANK={rank}, WORLD_SIZE={count}: expected a rank below"):
        launched.world()


def test_each_process_has_a_gpu_of_its_own(launcher, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    launcher("5", "6", local="1")
    assert launched.own_device(torch.device("cuda")) == torch.device("cuda", 1)
    assert launched.own_device(torch.device("cpu")) == torch.device("cpu")
    with pytest.raises(ValueError, match="--device cuda:0: a launcher gives each process a GPU of its own"):
        launched.own_device(torch.device("cuda:0"))
    launcher("2", "6", local="2")
    with pytest.raises(ValueError, match="process 3 of this machine finds 2 GPUs: start at most 2 processes a machine"):
        launched.own_device(torch.device("cuda"))


def test_a_port_in_use_is_said_with_what_helps(launcher):
    with socket.socket() as taken:
        taken.bind((ADDRESS, 0))
        taken.listen()
        port = taken.getsockname()[1]
        launcher("0", "2", port)
        code = "import torch; from model.training.launched import join; join(torch.device('cpu'))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode
    said = f"process 1 of 2 cannot meet the others at {ADDRESS}:{port}: the port is in use: choose another"
    assert said in done.stderr
