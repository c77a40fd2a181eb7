"""Crop and fit on a scheduler that was there before, with two workers of which one is killed in the middle."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import stages.crop
import stages.fit
from pipeline.params.tree import load_params
from pipeline.store.scratch_root import LAYOUT
from pipeline.work.dask_run import ClusterError, run
from tests.helpers import ROOT
from tests.small_corpus import HEAD, digests, make_corpus

VIDEOS = 10


class Cluster:
    """A scheduler and its workers on loopback, ended by `close`."""

    def __init__(self, folder: Path) -> None:
        self._env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self._folder, self._processes = folder, []
        self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show")
        self.address = self._wait_for("Scheduler at:").split()[-1]

    def add_worker(self, *options: str) -> int:
        """Start a worker in a folder that is not the project's; returns its process id."""
        return self._start("worker", self.address, "--no-nanny", "--no-dashboard", "--nthreads", *(options or ("1",)))

    def _start(self, kind: str, *options: str) -> int:
        log = (self._folder / f"{kind}{len(self._processes)}.log").open("w")
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options]
        process = subprocess.Popen(command, cwd=self._folder, env=self._env, stdout=log, stderr=log)
        log.close()
        self._processes.append(process)
        return process.pid

    def _wait_for(self, text: str) -> str:
        for _ in range(1200):
            for line in (self._folder / "scheduler0.log").read_text().splitlines():
                if text in line:
                    return line
            time.sleep(0.1)
        raise TimeoutError(f"the scheduler never said {text!r}")

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    found = Cluster(tmp_path)
    yield found
    found.close()


def run_stages(root: Path, out: Path, scheduler: str | None) -> dict[str, str]:
    params = load_params(root / "params.yaml")
    params = params.model_copy(update={"dask": params.dask.model_copy(update={"scheduler": scheduler})})
    options = {"workers": 0, "clip_timeout_s": 300, "retry": "missing"}
    stages.crop.run(params, out / "clips", root / "forgotten.txt", **options)
    places = (root / "heads" / f"{HEAD}.npz", out / "clips", out / "fits", out / "report.json")
    stages.fit.run(params, *places, device="cpu", **options)
    return {name: digest for name, digest in digests(out).items() if name.split("/")[0] in ("clips", "fits")}


def kill_in_the_middle(pid: int, scratch: Path, seen: list[int]) -> None:
    """Kill a process once the first clip is finished, and note how many were by then."""
    while not (done := list(scratch.glob("crop/clips/*/*.arrow"))):
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    seen.append(len(done))


def test_a_killed_worker_changes_nothing(tmp_path, cluster, monkeypatch):
    make_corpus(tmp_path / "corpus", VIDEOS, frames=60)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "here"))
    expected = run_stages(tmp_path / "corpus", tmp_path / "here", scheduler=None)
    killed, _ = cluster.add_worker(), cluster.add_worker()
    # relative paths: the workers were started in another folder
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", "there")
    finished_before: list[int] = []
    scratch = Path("there/data/scratch") / LAYOUT
    killer = threading.Thread(target=kill_in_the_middle, args=(killed, scratch, finished_before))
    killer.start()
    found = run_stages(Path("corpus"), Path("there"), scheduler=cluster.address)
    killer.join()
    assert finished_before[0] < VIDEOS
    assert found == expected


def where_am_i(_: int) -> int:
    return os.getpid()


def until_it_fails(function) -> None:
    """Call a function until it raises, a minute at most: a worker takes its time to join."""
    for _ in range(600):
        function()
        time.sleep(0.1)


def test_a_cluster_that_cannot_do_the_work_is_refused_before_anything_is_blamed(cluster):
    def outcomes(address):
        return list(run(where_am_i, [1, 2], workers=0, scheduler=address, timeout_s=60))

    cluster.add_worker()
    assert outcomes(cluster.address)[0].value != os.getpid()
    cluster.add_worker("3")
    with pytest.raises(ClusterError, match="has 3 threads: start workers with --nthreads 1"):
        until_it_fails(lambda: outcomes(cluster.address))
    with pytest.raises(ClusterError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9 .*dask.scheduler"):
        outcomes("tcp://127.0.0.1:9")
