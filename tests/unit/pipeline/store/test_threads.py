"""Results in order, made only a few ahead of whoever takes them."""

import threading

import pytest

from pipeline.store.compute.threads import AHEAD, streamed


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order_and_few_are_made_ahead(workers):
    drawn, made, lock = [], [], threading.Lock()

    def items():
        for number in range(40):
            drawn.append(number)
            yield number

    def square(number: int) -> int:
        with lock:
            made.append(number)
        return number * number

    for taken, result in enumerate(streamed(square, items(), workers)):
        assert result == taken * taken
        assert len(drawn) <= taken + AHEAD * workers
    assert sorted(made) == list(range(40))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_reaches_whoever_takes_its_result_and_ends_the_work(workers):
    made = []

    def fails(number: int) -> int:
        made.append(number)
        if number == 2:
            raise ValueError("no")
        return number

    stream = streamed(fails, range(1000), workers)
    assert [next(stream), next(stream)] == [0, 1]
    with pytest.raises(ValueError, match="no"):
        next(stream)
    assert len(made) <= 3 + AHEAD * workers
