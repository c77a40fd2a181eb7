"""The parts of a session on a device machine: the tests that need a GPU, the timings, the reference runs."""

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.device.machine import described
from benchmarks.device.runs import work_through
from benchmarks.device.settings import ALL, Run, of_puppets
from benchmarks.device.training import Place
from pipeline.console import say
from pipeline.params.tree import load_params
from pipeline.store.compute.devices import device_named
from pipeline.store.provenance import ROOT, write_json, write_text

PYTEST = ("pytest", "-q", "-rs", "-p", "no:cacheprovider", "-p", "benchmarks.device.skipping", "-m", "gpu")
EVERY_PLACE = "tests/unit/model"  # whose tests take a place, and so a GPU
MARKS = ("mark.gpu", "tests.devices")  # how a file of tests elsewhere says that some are for a GPU
NOTHING_CHOSEN = 5  # pytest's status
LAST_LINES = 60
# Module -> its options, and those of a quick look. Whole runs are for the machines that reports/benchmarks names.
TIMINGS = {
    "raster": ("--size 256 --batch 8 --batch 32 --budget-s 0.3", "--size 32 --batch 1 --channels 2 --repeats 1"),
    "heads": ("--batch 8 --batch 32", "--batch 1 --repeats 1 --budget-s 0.01"),
    # every row with both outputs, eager and fast
    "train": ("--output paper --output warped_source", "--steps 1 --guidance geom_disp --no-things"),
    "generate": ("--budget-s 3", "--batch 1 --repeats 1 --budget-s 0.01"),
}
# Rows of benchmarks.generate, quick or not.
SHOWN = {False: ("pwm 256 px", "generator 256 px", "stream 256 px"), True: ("pwm 64 px",)}


def tests(out: Path) -> list[str]:
    """Run the tests that are marked `gpu`, and keep the end of what they say; returns what failed."""
    done = _run((*PYTEST, *gpu_tests()))
    write_text(out / "gpu_tests.txt", "\n".join(done.stdout.splitlines()[-LAST_LINES:]) + "\n")
    return [] if done.returncode in (0, NOTHING_CHOSEN) else ["tests"]


def gpu_tests() -> list[str]:
    """Folder and files that have the tests marked `gpu`; to read all others would take minutes."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("test_*.py"))}
    found = [path.relative_to(ROOT).as_posix() for path, text in texts.items() if any(mark in text for mark in MARKS)]
    return [EVERY_PLACE, *(name for name in found if not name.startswith(f"{EVERY_PLACE}/"))]


def timings(given: argparse.Namespace) -> list[str]:
    """Run the timings that were asked for; pages go to `benchmarks` below --out. Returns those that failed."""
    params = of_puppets(given.profile, given.work / "timed.yaml", perceptual=False)  # VGG's time needs no weights
    beside = {
        "train": ("--params", str(params), "--device", given.device),
        "generate": tuple(part for row in SHOWN[given.quick] for part in ("--only", row)),
    }
    failed, folder = [], given.out / "benchmarks"
    for name in given.timings:
        options = TIMINGS[name]
        say(f"device: timing {name}")
        done = _run((f"benchmarks.{name}", "--out", str(folder), *options[given.quick].split(), *beside.get(name, ())))
        if done.returncode:
            write_text(folder / f"{name}.failed.txt", "\n".join(done.stdout.splitlines()[-LAST_LINES:]) + "\n")
            failed.append(f"benchmarks.{name}")
        else:
            (folder / f"{name}.failed.txt").unlink(missing_ok=True)
    write_json(folder / "machine.json", described())
    return failed


def reference_runs(given: argparse.Namespace, minutes: float, command: str) -> None:
    """Bring the reference runs forward for so long; their pages go to --out.

    Raises:
        ValueError, FileNotFoundError: a run or the packed set is not there; the message says what to do.
    """
    runs = [Run.named(name) for name in given.runs] or ALL
    if not (given.packed / "clips").is_dir():
        raise FileNotFoundError(f"no packed set at {given.packed}: make it with `python -m benchmarks.device.pack`")
    changes = {"iterations": given.iterations} if given.iterations else {}
    params = load_params(of_puppets(given.profile, given.work / "params.yaml", **changes))
    place = Place(given.packed, given.work, device_named(given.device), given.every)
    whole = work_through(runs, params, place, minutes, given.out, command)
    say(f"device: {'all runs are at their end' if whole else 'call again to go on'}; see {given.out}")


def _run(arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
