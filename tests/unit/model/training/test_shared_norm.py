"""Normalisation by a whole batch that lies in several processes: a team's training is that of one process."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.losses import GOLDEN, Trajectory, trajectory
from model.training.replicas import Replicas, replicas
from model.training.shared_norm import SharedBatchNorm, share_statistics
from tests.helpers import ROOT

ROW = "neural_codes"
PLAYERS = ("generator", "discriminator")
# In float32 the losses that the players descend agree within 1e-4. Small terms of them drift further in twenty steps,
# as far as by other vector instructions (benchmarks/losses.py); in float64 nothing does.
CLOSE, TERMS_CLOSE, CLOSE_IN_FLOAT64 = 1e-4, 2.5e-4, 1e-9


def norms() -> list[tuple[nn.Module, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    flat, volume, plain = nn.BatchNorm2d(5), nn.BatchNorm3d(3), nn.BatchNorm2d(4, affine=False)
    sizes = (4, 5, 6, 7), (4, 3, 2, 4, 3), (4, 4, 3, 2)
    made = []
    for norm, size in zip((flat, volume, plain), sizes, strict=True):
        if norm.affine:
            nn.init.normal_(norm.weight, generator=generator)
        made.append((norm.double(), torch.randn(size, generator=generator, dtype=torch.float64) * 3 + 50))
    return made


def follow(team: Replicas, folder: str) -> None:
    """Output, gradients and statistics of each layer for this process's share, into a file."""
    found = []
    for norm, batch in norms():
        network = nn.Sequential(norm)
        share_statistics(network, team)
        share = batch[team.rank :: team.count].clone().requires_grad_()
        out = network(share)
        weights = torch.linspace(-1, 2, batch.numel(), dtype=torch.float64).view_as(batch)[team.rank :: team.count]
        loss = (out.square() * weights).sum()  # of the whole batch it is the sum over shares
        loss.backward()
        gradients = [p.grad for p in network.parameters()]
        for gradient in gradients:
            team.sum(gradient)
        buffers = dict(network.named_buffers())
        network.eval()
        found.append((out.detach(), share.grad, gradients, buffers, network(share).detach()))
    torch.save(found, Path(folder, f"{team.count}.{team.rank}"))
    team.wait()


@pytest.mark.parametrize("count", [2, 4])
def test_shares_are_normalised_as_the_whole_batch_forward_and_backward(tmp_path: Path, count: int):
    follow(Replicas(), str(tmp_path))
    with replicas(count, follow, str(tmp_path)) as team:
        follow(team, str(tmp_path))
    whole = torch.load(tmp_path / "1.0")
    for rank in range(count):
        for alone, shared in zip(whole, torch.load(tmp_path / f"{count}.{rank}"), strict=True):
            for index in (0, 1, 4):
                torch.testing.assert_close(shared[index], alone[index][rank::count], rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(shared[2], alone[2], rtol=1e-9, atol=1e-9)
            assert shared[3].keys() == alone[3].keys()
            torch.testing.assert_close(shared[3], alone[3], rtol=1e-12, atol=0)


def test_alone_nothing_is_replaced_and_what_keeps_no_statistics_is_refused():
    network = nn.Sequential(nn.BatchNorm2d(2))
    share_statistics(network, Replicas())
    assert type(network[0]) is nn.BatchNorm2d
    with pytest.raises(ValueError, match="keeps no running statistics"):
        SharedBatchNorm.of(nn.BatchNorm2d(2, track_running_stats=False), Replicas(0, 2))
    share_statistics(network, Replicas(0, 2))
    assert type(network[0]) is SharedBatchNorm
    assert network.state_dict().keys() == nn.Sequential(nn.BatchNorm2d(2)).state_dict().keys()


@pytest.mark.parametrize("narrow", [False, True])
def test_one_share_is_normalised_as_torch_does_it_on_any_device(narrow: bool, on_device):
    """Statistics are float32 under autocast as well; the result has the input's dtype."""
    torch.manual_seed(0)
    plain = on_device(nn.BatchNorm2d(5))
    nn.init.uniform_(plain.weight)
    shared = SharedBatchNorm.of(copy.deepcopy(plain), Replicas())
    batch = on_device(torch.randn(4, 5, 6, 7) * 3 + 5)
    batch = batch.bfloat16() if narrow else batch
    for _ in range(2):
        ours, theirs = batch.clone().requires_grad_(), batch.clone().requires_grad_()
        with torch.autocast(on_device.device.type, torch.bfloat16, enabled=narrow):
            outs = shared(ours), plain(theirs)
        for out in outs:
            out.float().square().mul(torch.linspace(0, 1, 7, device=on_device.device)).sum().backward()
        close = {"rtol": 2e-2, "atol": 2e-2} if narrow else {"rtol": 1e-4, "atol": 1e-4}
        assert outs[0].dtype == batch.dtype
        torch.testing.assert_close(*outs, **close)
        torch.testing.assert_close(ours.grad, theirs.grad, **close)
    assert shared.running_var.dtype == torch.float32
    torch.testing.assert_close(dict(shared.named_buffers()), dict(plain.named_buffers()), rtol=1e-4, atol=1e-4)
    assert shared.state_dict().keys() == plain.state_dict().keys()


def train_together(team: Replicas, folder: str, double: bool) -> None:
    losses = trajectory(ROW, team, torch.float64 if double else torch.float32)
    if team.leads:
        Path(folder, "losses.json").write_text(json.dumps(losses))
    team.wait()


def apart(losses: Trajectory, golden: Trajectory, names: tuple[str, ...] = ()) -> float:
    """Largest relative difference of these losses, or of all, in any step."""
    assert [set(row) for row in losses] == [set(row) for row in golden]
    gaps = [
        abs(row[name] - value) / abs(value)
        for row, wanted in zip(losses, golden, strict=True)
        for name, value in wanted.items()
        if not names or name in names
    ]
    return max(gaps)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_in_float64_a_team_follows_one_process_to_nine_digits(tmp_path: Path, count: int):
    with replicas(count, train_together, str(tmp_path), True) as team:
        train_together(team, str(tmp_path), True)
    losses = json.loads((tmp_path / "losses.json").read_text())
    assert 0 < apart(losses, trajectory(ROW, dtype=torch.float64)) < CLOSE_IN_FLOAT64


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_processes_that_torchrun_starts_follow_the_golden_trajectory(count: int):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    done = subprocess.run(
        [*command, "-m", "benchmarks.losses"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=600
    )
    losses, golden = json.loads(done.stdout)[ROW], json.loads(GOLDEN.read_text())[ROW]
    assert apart(losses, golden, PLAYERS) < CLOSE
    assert apart(losses, golden) < TERMS_CLOSE
