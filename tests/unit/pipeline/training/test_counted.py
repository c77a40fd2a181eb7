"""What a run costs: operations by hand, counts that leave no trace, and times out of the run's own table."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from model.method.lesson import ParamGroup, StepLosses
from model.method.network import Batch, Made
from model.training.shared_norm import share_statistics
from pipeline.store.costs import Costs, read_costs, write_costs
from pipeline.training import counted
from pipeline.training.counted import Counted, frame_flops, frame_seconds, step_flops, step_seconds
from pipeline.training.speed import SPEED
from pipeline.training.underway import Underway
from tests.toy_networks import batch_at, lesson, state_of, train_config

CHANNELS, SIDE, KERNEL = 3, 10, 3
OF_CONVOLUTION = 2 * CHANNELS * CHANNELS * KERNEL**2 * SIDE**2  # of one image


class Painter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(CHANNELS, CHANNELS, KERNEL, padding=1, bias=False)
        self.per_batch = nn.Parameter(torch.eye(7))

    def forward(self, source: torch.Tensor, signals: dict) -> Made:
        return Made(self.first(source) + (self.per_batch @ self.per_batch).mean())


@dataclass
class Painting:
    """One convolution, whose source asks for no gradient, and a product of matrices whatever the batch."""

    network: nn.Module = field(default_factory=Painter)
    rivals: nn.ModuleDict = field(default_factory=nn.ModuleDict)
    fixed: nn.ModuleDict = field(default_factory=nn.ModuleDict)

    def players(self) -> dict[str, list[ParamGroup]]:
        return {"generator": [ParamGroup(list(self.network.parameters()), 1e-3)]}

    def losses(self, batch: Batch) -> StepLosses:
        loss = F.l1_loss(self.network(batch.source, batch.signals).image, batch.target)
        return StepLosses({"generator": loss}, {})


def images(count: int = 4) -> Batch:
    return Batch(*torch.rand(2, count, CHANNELS, SIDE, SIDE), {})


def test_operations_are_those_counted_by_hand():
    of_product = 2 * 7**3
    assert frame_flops(Painter(), images()) == OF_CONVOLUTION + of_product
    # Backward: the gradient of the weights, as much as forward; and two products for the one of the matrix.
    for pairs in (1, 3, 4, 32):  # as many as the sample has, fewer, and more
        assert step_flops(Painting(), images(), pairs) == pairs * 2 * OF_CONVOLUTION + 3 * of_product


def test_counting_changes_neither_weights_nor_random_numbers():
    taught = lesson()
    before = {name: value.clone() for name, value in state_of(taught).items()}
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    batch = batch_at(0)
    torch.manual_seed(5)
    step_flops(taught, batch, 8)
    frame_flops(taught.network, batch)
    frame_seconds(taught.network, batch)
    assert torch.equal(torch.rand(3), wanted)
    assert all(torch.equal(value, before[name]) for name, value in state_of(taught).items())
    assert all(parameter.grad is None for parameter in taught.network.parameters())


def test_networks_that_cannot_be_copied_are_counted_and_no_team_is_waited_for():
    """A spectral norm of the older kind keeps a weight that is no leaf; only the process that leads counts."""

    class Team:
        count, rank = 2, 0

        def sum(self, tensor: torch.Tensor) -> None:
            raise AssertionError("the others would have to sum as well")

    network = nn.Sequential(
        nn.utils.spectral_norm(nn.Conv2d(CHANNELS, CHANNELS, KERNEL, padding=1)), nn.BatchNorm2d(CHANNELS)
    )
    network(images().source)  # from here on it keeps one

    class Drawn(Painter):
        def __init__(self) -> None:
            super().__init__()
            self.first = network

    taught = Painting(Drawn())
    share_statistics(taught.network, Team())
    before = {name: value.clone() for name, value in taught.network.state_dict().items()}
    assert step_flops(taught, images(), 8) > 8 * 2 * OF_CONVOLUTION
    assert frame_flops(taught.network, images()) >= OF_CONVOLUTION
    assert all(torch.equal(value, before[name]) for name, value in taught.network.state_dict().items())
    with pytest.raises(AssertionError, match="the others"):
        taught.network.train()(images().source, {})


def test_seconds_of_a_step_are_the_median_of_the_runs_own_table(tmp_path):
    path = tmp_path / SPEED
    assert step_seconds(path, 8) is None
    path.write_text("step,images_per_s\n10,40\n20,80\n30,20\n")
    assert step_seconds(path, 8) == 8 / 40


def test_a_slow_network_is_timed_once(monkeypatch):
    clock = iter(range(0, 100, 3))  # three seconds a call
    monkeypatch.setattr(counted, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert frame_seconds(Painter(), images()) == 3 / 4
    assert next(clock) == 6


@pytest.mark.parametrize("resumed", [False, True])
def test_costs_are_written_when_the_run_is_done(resumed, tmp_path):
    config = train_config(iterations=3)
    run = Underway("row", tmp_path, Painting(), images(), frozenset(), config, torch.device("cpu"), lambda: 0.0)
    observer = Counted(run, tmp_path / "costs.json", processes=2)
    if resumed:
        observer.begin(3, [])
    else:
        observer.begin(0, [])
        observer.after_step(2, {})
        assert read_costs(tmp_path / "costs.json") is None
        observer.after_step(3, {})
    found = read_costs(tmp_path / "costs.json")
    assert found is not None
    assert (found.parameters, found.processes, found.device) == (81 + 49, 2, "cpu")
    assert found.frame_batch == min(4, config.batch_size)
    assert found.frame_gflop == (OF_CONVOLUTION + 2 * 7**3) / 1e9
    assert found.frame_s is not None
    assert found.frame_s > 0
    assert found.step_s is None


def test_a_row_that_was_not_trained_here_has_no_costs(tmp_path: Path):
    write_costs(tmp_path / "a.json", None)
    assert read_costs(tmp_path / "a.json") is None
    write_costs(tmp_path / "b.json", Costs(parameters=4, step_s=0.5))
    assert read_costs(tmp_path / "b.json") == Costs(parameters=4, step_s=0.5)
