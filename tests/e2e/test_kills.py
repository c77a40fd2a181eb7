"""Kills at random moments over crop and fit: what the next run ends with is what an undisturbed run ends with."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from model.atomic import PARTIAL
from tests.helpers import ROOT
from tests.small_corpus import crop_arguments, digests, fit_arguments, make_corpus

VIDEOS, FRAMES = 8, 30


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("kills")
    make_corpus(root, VIDEOS, FRAMES)
    return root


def start(corpus: Path, out: Path) -> subprocess.Popen:
    """Start crop and then fit, with two workers, in a process group of their own."""
    crop, fit = crop_arguments(corpus, out), fit_arguments(corpus, out)
    command = f'"$0" -m stages.crop {" ".join(crop)} && exec "$0" -m stages.fit {" ".join(fit)}'
    env = {**os.environ, "DVC_ROOT": str(out), "PWM_WORKERS": "2", "OMP_NUM_THREADS": "1"}
    out.mkdir(parents=True, exist_ok=True)
    with (out.parent / f"{out.name}.log").open("a") as log:
        return subprocess.Popen(
            ["sh", "-c", command, sys.executable], cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True
        )


def finish(corpus: Path, out: Path) -> None:
    """Run to the end."""
    assert start(corpus, out).wait(timeout=1200) == 0, (out.parent / f"{out.name}.log").read_text()[-3000:]


def made(out: Path) -> dict[str, str]:
    """Digests of what both stages made; what a killed writer left half-written goes with a write an hour later."""
    found = {name: digest for name, digest in digests(out).items() if name.split("/")[0] in ("clips", "fits")}
    return {name: digest for name, digest in found.items() if f"{PARTIAL}/" not in name}


def pieces(out: Path) -> int:
    """Clips that are finished: cropped ones and fitted ones."""
    return sum(1 for path in out.glob("data/scratch/*/*/*/*/*") if path.suffix in (".arrow", ".parquet"))


@pytest.fixture(scope="module")
def undisturbed(corpus):
    """Digests of what an undisturbed run makes."""
    finish(corpus, corpus / "undisturbed")
    found = made(corpus / "undisturbed")
    assert len(found) == 10, sorted(found)
    assert pieces(corpus / "undisturbed") == 2 * VIDEOS
    return found


def kill_at(corpus: Path, out: Path, finished: int, delay_s: float) -> bool:
    """Start both stages and kill their group so long after so many clips are finished; False if they end before."""
    process = start(corpus, out)
    while pieces(out) < finished and process.poll() is None:
        time.sleep(0.005)
    try:
        process.wait(timeout=delay_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def survive(corpus: Path, expected: dict[str, str], kills: int, seed: int) -> None:
    """Kill the group so often, each time after a random number of finished clips and a random while, and finish."""
    rng = np.random.default_rng(seed)
    out = corpus / f"killed{seed}"
    done, moments = 0, []
    while done < kills:
        moments.append((int(rng.integers(pieces(out), 2 * VIDEOS, endpoint=True)), rng.uniform(0.0, 1.0)))
        if kill_at(corpus, out, *moments[-1]):
            done += 1
            continue
        assert made(out) == expected, moments
        shutil.rmtree(out)  # it had finished before: everything from the start
    finish(corpus, out)
    assert made(out) == expected, moments
    assert not list((out / "data" / "scratch").rglob("*.failed.json"))


def test_two_kills_change_nothing(corpus, undisturbed):
    survive(corpus, undisturbed, kills=2, seed=1)


@pytest.mark.slow
def test_twenty_kills_change_nothing(corpus, undisturbed):
    survive(corpus, undisturbed, kills=20, seed=2)
