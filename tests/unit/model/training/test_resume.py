"""What is kept of a training survives kills, full disks and damaged files."""

import errno
import os
import random
import resource
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import torch

from model.training import loop
from model.training.interrupt import SIGNALS
from model.training.loop import Players, TrainingDiverged, train
from model.training.random_state import random_state, set_random_state
from model.training.replicas import Replicas, replicas
from model.training.resume import KEPT, CheckpointStore, step_of
from tests.toy_networks import CPU, batch_at, lesson, state_of, train_config


def ignore(_step: int, _losses: dict[str, float]) -> None:
    pass


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_state_comes_back_and_the_last_few_are_kept(tmp_path: Path):
    store = CheckpointStore(tmp_path)
    assert store.load() is None
    for step in range(1, KEPT + 3):
        store.save({"step": step, "weights": torch.full((3,), float(step))})
    assert [step_of(path) for path in store.states()] == [5, 4, 3]
    assert torch.equal(store.load()["weights"], torch.full((3,), 5.0))
    assert len(list(tmp_path.iterdir())) == KEPT


@pytest.mark.parametrize("harm", [damage, lambda path: path.write_bytes(path.read_bytes()[:100])])
def test_a_damaged_state_is_passed_over_and_named(tmp_path: Path, harm):
    said: list[str] = []
    store = CheckpointStore(tmp_path, say=said.append)
    for step in (1, 2):
        store.save({"step": step})
    newest = store.states()[0]
    harm(newest)
    assert store.load()["step"] == 1
    assert said == [f"{newest.name} in {tmp_path} damaged: going on from step 1"]


def test_damaged_states_alone_are_not_taken_for_a_new_run(tmp_path: Path):
    store = CheckpointStore(tmp_path)
    damage(store.save({"step": 1}))
    with pytest.raises(RuntimeError, match=r"all states in .* are damaged \(state-000000001-.*remove the folder"):
        store.load()


def test_a_full_disk_leaves_the_states_before(tmp_path: Path, monkeypatch):
    store = CheckpointStore(tmp_path, kept=1)
    store.save({"step": 3})

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("model.training.resume.os.fsync", full)
    with pytest.raises(RuntimeError, match=r"step 5 cannot be kept in .*No space left.*last good state is of step 3"):
        store.save({"step": 5})
    assert store.load() == {"step": 3}
    assert len(list(tmp_path.iterdir())) == 1


@contextmanager
def no_file_larger_than(limit: int) -> Iterator[None]:
    """Let the system itself break off what is written, in the middle of a file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_while_a_state_is_written_costs_the_steps_since_the_last(tmp_path: Path):
    whole, stopped, resumed = lesson(), lesson(), lesson()
    store = CheckpointStore(tmp_path / "whole")
    curve = train(whole, batch_at, train_config(), CPU, store, ignore)
    half = store.states()[0].stat().st_size // 2
    store = CheckpointStore(tmp_path / "full")
    with ExitStack() as stack:

        def fill(step: int, _losses: dict[str, float]) -> None:
            if step == 3:
                stack.enter_context(no_file_larger_than(half))

        with pytest.raises(
            RuntimeError, match=r"step 4 cannot be kept in .*full \(.*last good state is of step 2: make"
        ):
            train(stopped, batch_at, train_config(), CPU, store, fill)
    assert [step_of(path) for path in store.states()] == [2]
    assert len(list(store.folder.iterdir())) == 1  # no half a file
    assert train(resumed, batch_at, train_config(), CPU, store, ignore) == curve
    wanted, got = state_of(whole), state_of(resumed)
    assert all(torch.equal(wanted[key], got[key]) for key in wanted)


def test_a_run_killed_at_random_steps_ends_in_the_weights_of_an_undisturbed_one(tmp_path: Path):
    config = train_config(iterations=9, checkpoint_every=2)
    whole = lesson()
    curve = train(whole, batch_at, config, CPU, CheckpointStore(tmp_path / "whole"), ignore)
    draw, again, last = random.Random(7), None, 0
    for attempt in range(50):
        last += draw.randrange(1, 4)

        def disturb(step: int, _losses: dict[str, float], last: int = last, kind: int = attempt % 4) -> None:
            if step == last and kind < len(SIGNALS):
                os.kill(os.getpid(), SIGNALS[kind])
            elif step == last:
                raise InterruptedError

        torch.manual_seed(attempt)  # what a new process draws before it resumes must not matter
        resumed = lesson()
        try:
            again = train(resumed, batch_at, config, CPU, CheckpointStore(tmp_path / "killed"), disturb)
            break
        except (SystemExit, InterruptedError):
            continue
    assert attempt > 2
    assert again == curve
    wanted, got = state_of(whole), state_of(resumed)
    assert all(torch.equal(wanted[key], got[key]) for key in wanted)


def test_a_damaged_newest_state_costs_steps_and_nothing_else(tmp_path: Path, capsys):
    config, store = train_config(), CheckpointStore(tmp_path)
    whole = lesson()
    train(whole, batch_at, config, CPU, store, ignore)
    for path in store.states()[:2]:
        damage(path)
    resumed, steps = lesson(), []
    train(resumed, batch_at, config, CPU, store, lambda step, _: steps.append(step))
    assert steps == [3, 4, 5, 6]
    assert "going on from step 2" in capsys.readouterr().err
    wanted, got = state_of(whole), state_of(resumed)
    assert all(torch.equal(wanted[key], got[key]) for key in wanted)


def test_random_streams_go_on_where_they_were(tmp_path: Path):
    torch.manual_seed(3)
    torch.rand(7)
    state = random_state(CPU)
    drawn = torch.rand(5)
    torch.manual_seed(4)
    set_random_state(state, CPU)
    assert torch.equal(torch.rand(5), drawn)


def noisy(lesson, rank: int):
    """A lesson that draws: each process from a stream of its own."""
    plain = lesson.losses

    def losses(batch):
        batch.source.add_(0.01 * torch.rand_like(batch.source) * (rank + 1))
        return plain(batch)

    lesson.losses = losses
    return lesson


def share_at(team: Replicas, step: int):
    rows, whole = slice(team.rank, None, team.count), batch_at(step)
    return type(whole)(whole.source[rows], whole.target[rows], {name: s[rows] for name, s in whole.signals.items()})


def take_part(team: Replicas, folder: str, who: int, last: int, number: int) -> None:
    """Train, and let process `who` be sent a signal after step `last`; weights go to a file at the end."""

    def disturb(step: int, _losses: dict[str, float]) -> None:
        if step == last and team.rank == who:
            os.kill(os.getpid(), number)

    torch.set_num_threads(1)
    torch.manual_seed(team.rank)
    made = lesson()
    torch.manual_seed(100 + team.rank)
    config = train_config(checkpoint_every=100)
    store = CheckpointStore(Path(folder))
    loop.train(noisy(made, team.rank), lambda step: share_at(team, step), config, CPU, store, disturb, team)
    torch.save(state_of(made), Path(folder, f"weights.{team.rank}"))


def test_a_signal_to_any_process_stops_all_and_they_resume_bit_for_bit(tmp_path: Path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()

    def together(folder: Path, who: int, last: int, number: int) -> None:
        job = (str(folder), who, last, number)
        with replicas(2, take_part, *job) as team:
            take_part(team, *job)

    together(whole, 0, -1, signal.SIGTERM)
    with pytest.raises(SystemExit, match="after step 3 of 6"):
        together(parts, 1, 2, signal.SIGUSR1)  # the step under way when it came was the third
    assert CheckpointStore(parts).load()["step"] == 3
    with pytest.raises(SystemExit, match="after step 5 of 6"):
        together(parts, 0, 4, signal.SIGINT)
    together(parts, 0, -1, signal.SIGTERM)
    states = [torch.load(folder / f"weights.{rank}") for folder in (whole, parts) for rank in range(2)]
    for state in states[1:]:
        assert all(torch.equal(value, state[key]) for key, value in states[0].items())


def test_another_number_of_processes_does_not_go_on(tmp_path: Path):
    store = CheckpointStore(tmp_path)
    store.save({"step": 2, "players": {}, "curve": [], "rng": [random_state(CPU)] * 2})
    with pytest.raises(RuntimeError, match=r"is of 2 processes, and 1 would go on: start 2, or remove the folder"):
        train(lesson(), batch_at, train_config(), CPU, store, ignore)


def drift(team: Replicas, folder: str) -> None:
    players = Players.make(lesson(), train_config(), CPU)
    store = CheckpointStore(Path(folder))
    loop.keep_state(players, store, CPU, team, 1, [])
    if not team.leads:
        with torch.no_grad():
            next(players.lesson.network.parameters()).view(-1)[0] += 1e-7
    with pytest.raises(RuntimeError, match=r"different weights after step 2; no state was kept: 2 of 2 differ"):
        loop.keep_state(players, store, CPU, team, 2, [])
    team.wait()


def test_processes_with_different_weights_keep_nothing(tmp_path: Path):
    with replicas(2, drift, str(tmp_path)) as team:
        drift(team, str(tmp_path))
    assert CheckpointStore(tmp_path).load()["step"] == 1


class Watch:
    """Notes what it is told of each step, and may end the training."""

    def __init__(self, stop_at: int = -1) -> None:
        self.stop_at, self.steps = stop_at, []

    def __call__(self, step, losses) -> None:
        self.steps.append((step, losses["generator"]))
        if step == self.stop_at:
            raise ArithmeticError("collapsed")


def test_whoever_is_told_of_the_steps_may_stop_before_the_state_is_kept(tmp_path: Path):
    watch, store = Watch(stop_at=4), CheckpointStore(tmp_path)
    with pytest.raises(ArithmeticError):
        train(lesson(), batch_at, train_config(), CPU, store, watch)
    assert [step for step, _ in watch.steps] == [1, 2, 3, 4]
    assert store.load()["step"] == 2


def test_losses_that_are_looked_at_late_are_the_same_and_so_are_the_weights(tmp_path: Path, monkeypatch):
    """As on CUDA: nothing is fetched from the device within a step."""
    config = train_config(checkpoint_every=5, log_every=1)
    at_once, late = lesson(), lesson()
    first, second = Watch(), Watch()
    curve = train(at_once, batch_at, config, CPU, CheckpointStore(tmp_path / "a"), first)
    monkeypatch.setattr(loop, "look_every", lambda _device: 4)
    assert train(late, batch_at, config, CPU, CheckpointStore(tmp_path / "b"), second) == curve
    assert first.steps == second.steps
    wanted, got = state_of(at_once), state_of(late)
    assert all(torch.equal(wanted[key], got[key]) for key in wanted)


def test_after_a_loss_that_is_not_finite_nothing_is_updated_however_late_it_is_seen(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(loop, "look_every", lambda _device: 6)
    made, seen = lesson(), []

    def broken_at_3(step: int):
        seen.append({key: value.clone() for key, value in made.network.named_parameters()})
        batch = batch_at(step)
        if step == 3:
            batch.target[0, 0, 0, 0] = float("nan")
        return batch

    with pytest.raises(TrainingDiverged, match="perceptual"):
        train(made, broken_at_3, train_config(checkpoint_every=6), CPU, CheckpointStore(tmp_path), ignore)
    assert len(seen) == 6
    assert not all(torch.equal(value, seen[2][key]) for key, value in seen[3].items())
    assert all(torch.equal(value, seen[3][key]) for key, value in made.network.named_parameters())
    assert CheckpointStore(tmp_path).load() is None


def test_a_step_too_large_for_the_gpu_says_what_it_needs(monkeypatch):
    made = lesson()
    players = Players.make(made, train_config(), CPU)

    def full(_batch):
        raise torch.OutOfMemoryError

    made.losses = full
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _device: 3 << 30)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (0, 4 << 30))
    with pytest.raises(
        RuntimeError, match=r"2 pairs \(batch_size 2, 1 processes\) needs more than 3\.0 GiB of the 4\.0"
    ):
        loop.train_step(players, batch_at(0), train_config(), CPU)
