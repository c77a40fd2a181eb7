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

from tests.arch.stage_deps import ROOT
from tests.small_corpus import crop_arguments, digests, fit_arguments, make_corpus

VIDEOS, FRAMES = 12, 40


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


def finish(corpus: Path, out: Path) -> float:
    """Run to the end; returns the seconds it took."""
    begun = time.monotonic()
    assert start(corpus, out).wait(timeout=1200) == 0, (out.parent / f"{out.name}.log").read_text()[-3000:]
    return time.monotonic() - begun


def made(out: Path) -> dict[str, str]:
    return {name: digest for name, digest in digests(out).items() if name.split("/")[0] in ("clips", "fits")}


@pytest.fixture(scope="module")
def undisturbed(corpus):
    """Digests of what an undisturbed run makes, and its duration."""
    seconds = finish(corpus, corpus / "undisturbed")
    found = made(corpus / "undisturbed")
    assert len(found) == 10, sorted(found)
    return found, seconds


def survive(corpus: Path, undisturbed: tuple[dict[str, str], float], kills: int, seed: int) -> None:
    """Kill the whole group so often, each time at a moment of an undisturbed run's span, and finish it."""
    expected, seconds = undisturbed
    rng = np.random.default_rng(seed)
    out = corpus / f"killed{seed}"
    moments = []
    while len(moments) < kills:
        process = start(corpus, out)
        moments.append(rng.uniform(0.0, seconds))
        try:
            process.wait(timeout=moments[-1])
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            continue
        moments.pop()  # it had finished: a kill needs something to end, so everything starts again
        assert made(out) == expected
        shutil.rmtree(out)
    finish(corpus, out)
    assert made(out) == expected, moments
    assert not [p for p in (out / "data" / "scratch").rglob("*.failed.json")]


def test_two_kills_change_nothing(corpus, undisturbed):
    survive(corpus, undisturbed, kills=2, seed=1)


@pytest.mark.slow
def test_twenty_kills_change_nothing(corpus, undisturbed):
    survive(corpus, undisturbed, kills=20, seed=2)
