"""Time per image at batch 64 over that at batch 8, in a process whose allocator keeps what it freed.

A map of 64 frames of 256 px and 16 channels is 268 MB, which the C library gives back to the system after each call and
gets anew, page by page, for the next; a map of 8 frames it mostly keeps. `benchmarks.raster` shows what that costs, and
runs this file with limits raised so far that both are kept: what is left is the rasteriser's own.
"""

import json
import os
import subprocess
import sys
from functools import partial

import torch

from benchmarks.timing import in_turns, spread
from model.render.interpolate import interpolate
from model.render.raster import Fragments, rasterize

KEEP = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 34)}  # glibc's, in bytes
SMALL, LARGE, SIZE, CHANNELS = 8, 64, 256, 16


def flat(threads: int, repeats: int) -> dict[str, float]:
    """Ratios of `visibility` and of interpolation's `forward + backward`, from a process of their own."""
    command = [sys.executable, "-m", "benchmarks.raster_flat", str(threads), str(repeats)]
    done = subprocess.run(command, env=os.environ | KEEP, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def measure(repeats: int) -> dict[str, float]:
    """CPU time per image, batches in turns."""
    from benchmarks.raster import BOTH, VISIBILITY, bumpy_head

    values = None
    seeing, blending = [], []
    for batch in (SMALL, LARGE):
        verts, triangles = bumpy_head(batch, "cpu")
        values = torch.rand(verts.shape[1], CHANNELS, requires_grad=True) if values is None else values
        fragments = rasterize(verts, triangles, (SIZE, SIZE))
        weight = torch.rand(batch, CHANNELS, SIZE, SIZE)
        seeing.append(partial(rasterize, verts, triangles, (SIZE, SIZE)))
        blending.append(partial(_both, fragments, values, triangles, weight))
    ratios = {}
    for what, works in ((VISIBILITY, seeing), (BOTH, blending)):
        small, large = in_turns(works, "cpu", repeats, budget_s=float("inf"))
        ratios[what] = spread(large, LARGE)["cpu_ms_per_image"] / spread(small, SMALL)["cpu_ms_per_image"]
    return ratios


def _both(fragments: Fragments, values: torch.Tensor, triangles: torch.Tensor, weight: torch.Tensor) -> None:
    values.grad = None
    interpolate(fragments, values, triangles).backward(weight)


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    print(json.dumps(measure(int(sys.argv[2]))))
