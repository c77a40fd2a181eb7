"""Signals that ask a training to stop: what they do while it goes on, and while it ends."""

import os
import signal
from collections.abc import Iterator

import pytest

from model.training.interrupt import SIGNALS, stop_signals

LAUNCHER = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}


@pytest.fixture(autouse=True)
def handlers() -> Iterator[dict[int, object]]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield before
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def under_launcher(monkeypatch):
    for name, value in LAUNCHER.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("number", SIGNALS)
def test_each_of_them_sets_the_event(number):
    with stop_signals() as asked:
        assert not asked.is_set()
        os.kill(os.getpid(), number)
        assert asked.is_set()


def ended_by(error: BaseException) -> None:
    with pytest.raises(type(error)), stop_signals():
        raise error


@pytest.mark.parametrize("error", [RuntimeError("a training process was lost"), SystemExit("training stopped")])
def test_what_a_launcher_sends_all_does_not_cut_off_what_an_ending_run_says(under_launcher, error):
    ended_by(error)
    for number in SIGNALS:
        os.kill(os.getpid(), number)  # would end this process


def test_without_a_launcher_the_handlers_are_back_when_an_error_ends_the_run(handlers):
    ended_by(RuntimeError())
    assert {number: signal.getsignal(number) for number in SIGNALS} == handlers


def test_they_are_back_after_a_run_that_went_well(under_launcher, handlers):
    with stop_signals():
        pass
    assert {number: signal.getsignal(number) for number in SIGNALS} == handlers
