"""On a bare machine with a GPU: `python -m benchmarks.device`, or `make device` (docs/device.md).

Needs no virtual environment, no network and no DVC; what the machine's Python lacks is brought along as wheels.
"""

import argparse
import os
import shlex
import sys
import time
from pathlib import Path

from benchmarks.device import machine

PARTS = ("tests", "timings", "runs")
TIMINGS = ("raster", "heads", "train", "generate")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.device", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what is done, in this order")
    parser.add_argument("--timings", nargs="+", choices=TIMINGS, default=list(TIMINGS), help="which of them")
    parser.add_argument(
        "--runs",
        nargs="*",
        default=[],
        help="GUIDANCE/OUTPUT or a published system; all if none",
    )
    parser.add_argument("--minutes", type=float, default=9.0, help="of all parts; the next call goes on")
    parser.add_argument("--every", type=int, default=2000, help="iterations of a turn of a reference run")
    parser.add_argument("--iterations", type=int, default=0, help="where reference runs end; the profile's if 0")
    parser.add_argument("--profile", type=Path, default=Path("profiles/voxceleb.yaml"), help="whose recipe is run")
    parser.add_argument(
        "--packed", type=Path, default=Path("device_set"), help="folder that benchmarks.device.pack made"
    )
    parser.add_argument("--wheels", type=Path, default=Path("wheels"), help="folder of wheels that were brought along")
    parser.add_argument("--work", type=Path, default=Path("data/device"), help="states and caches, kept between calls")
    parser.add_argument("--out", type=Path, default=Path("reports/reference"), help="folder of what comes back")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:NUMBER")
    parser.add_argument("--quick", action="store_true", help="timings of few calls and small sizes")
    return parser.parse_args()


def main() -> int:
    """Do the parts; returns 0, 1 where a test or a timing failed, 2 where something is missing or wrong."""
    given, started = arguments(), time.monotonic()
    machine.bring(given.wheels, given.work / "site")
    if lacking := machine.missing():
        print(machine.how_to_bring(lacking, given.wheels), file=sys.stderr)
        return 2
    # Compiled code of one run serves the others and later calls. Before torch is imported, which reads it.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str((given.work / "compiled").resolve()))
    from benchmarks.device.parts import reference_runs, tests, timings

    failed = []
    try:
        if "tests" in given.parts:
            failed += tests(given.out)
        if "timings" in given.parts:
            failed += timings(given)
        if "runs" in given.parts:
            left = given.minutes - (time.monotonic() - started) / 60
            reference_runs(given, left, shlex.join(["python", "-m", "benchmarks.device", *sys.argv[1:]]))
    except (ValueError, FileNotFoundError) as error:
        print(f"device: {error}", file=sys.stderr)
        return 2
    for what in failed:
        print(f"device: {what} failed; see {given.out}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
