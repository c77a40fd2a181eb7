import os
import time

from pipeline.work.dask_run import run


def work(item):
    """Square an item; some items raise, kill their process or hang."""
    if item == "raise":
        raise ValueError("bad item")
    if item == "die":
        os._exit(3)
    if item == "hang":
        time.sleep(600)
    return item * item


def outcomes(items, workers, timeout_s=2.0):
    found = list(run(work, items, workers=workers, scheduler=None, timeout_s=timeout_s))
    assert sorted(outcome.index for outcome in found) == list(range(len(items)))
    return {items[outcome.index]: outcome for outcome in found}


def test_in_this_process_one_bad_item_does_not_end_the_others():
    found = outcomes([2, "raise", 3], workers=0)
    assert (found[2].value, found[3].value) == (4, 9)
    assert (found["raise"].reason, found["raise"].error) == ("crashed", "ValueError: bad item")
    assert outcomes([], workers=2) == {}


def test_processes_survive_death_and_hanging_of_one_item():
    found = outcomes([2, "die", 3, "raise", "hang", 4], workers=2)
    assert [found[i].value for i in (2, 3, 4)] == [4, 9, 16]
    assert found["raise"].error == "ValueError: bad item"
    for item in ("die", "hang"):
        assert (found[item].value, found[item].reason) == (None, "worker_died")
        assert "more than 2 s" in found[item].error
