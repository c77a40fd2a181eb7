"""Within a step nothing is fetched from the device; what guidance has to ask for, and where, is named.

On the `meta` device tensors have a form and no values: whatever would wait for a value fails there, in any of its
guises (`item`, `tolist`, `if tensor`, a mask as an index, a copy to the CPU).
"""

import sys
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from model.method.lesson import Lesson
from model.pwm.animator import fits_of
from model.pwm.guidance import GuidanceMaps
from model.pwm.output import OUTPUTS
from model.render import raster
from model.training.loop import Players, Steps
from tests.devices import GPU, Place
from tests.helpers import ROOT
from tests.toy_networks import EVERY, SIZE, batch_at, lesson, of_output, train_config

META = torch.device("meta")
# Operations whose result has a size that depends on values, or is a number on the CPU.
FETCHES = {"_local_scalar_dense", "nonzero", "repeat_interleave", "unique_consecutive", "unique_dim", "masked_select"}


class Drawn(nn.Module):
    """In the place of guidance: maps of the same form, made of the codes where there are any."""

    def __init__(self, guidance: nn.Module) -> None:
        super().__init__()
        self.codes = guidance.codes
        self._channels = guidance.driving_channels, guidance.source_channels
        self._covers = guidance.nmfc is not None

    def forward(self, _head, fits, _fit_drv, size) -> GuidanceMaps:
        count, at = len(fits.shape), fits.shape.device
        value = torch.rand((), device=at) if self.codes is None else self.codes.mean()
        driving, source = (value.expand(count, channels, *size) for channels in self._channels)
        return GuidanceMaps(driving, source, value.expand(count, 2 if self._covers else 0, *size))


def without_guidance(taught: Lesson) -> Lesson:
    taught.network.guidance = Drawn(taught.network.guidance)
    return taught


@pytest.fixture
def on_meta(monkeypatch):
    """A place without values; neither autocast nor fused optimisers know of it."""
    monkeypatch.setattr(torch, "autocast", lambda *_args, **_options: nullcontext())
    optimizer = sys.modules["torch.optim.optimizer"]
    monkeypatch.setattr(optimizer, "_get_fused_kernels_supported_devices", lambda: ["meta"])
    return Place("meta")


@pytest.mark.parametrize("output", sorted(OUTPUTS))
@pytest.mark.parametrize("name", EVERY)
def test_a_step_fetches_nothing(name: str, output: str, on_meta):
    config = train_config(ema=0.9)
    steps = Steps(Players.make(without_guidance(of_output(name, output)), config, META), config, META, at_once=False)
    for _ in range(2):
        steps.take(on_meta(batch_at(0)))
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        steps.look()  # this is what waits


class Fetched(TorchDispatchMode):
    """Counts which file of the project asks for what values say."""

    def __init__(self) -> None:
        super().__init__()
        self.by: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket.__name__ in FETCHES:
            self.note()
        return func(*args, **(kwargs or {}))

    def note(self) -> None:
        frame = sys._getframe()
        while frame is not None and not Path(frame.f_code.co_filename).is_relative_to(ROOT / "model"):
            frame = frame.f_back
        self.by["elsewhere" if frame is None else str(Path(frame.f_code.co_filename).relative_to(ROOT))] += 1


@pytest.mark.parametrize("name", EVERY)
def test_guidance_alone_asks_how_much_a_mesh_covers(name: str, monkeypatch):
    """Its lists are as long as what is seen: the one wait of a step, at its start. A head looks at codes on the CPU."""
    monkeypatch.setattr(raster, "LOOPS_ON", ())  # as on any device but a CPU
    made, batch = lesson(name).network, batch_at(0)
    fetched, tolist = Fetched(), torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda tensor: fetched.note() or tolist(tensor))
    with fetched:
        maps = made.guidance(made.head, *fits_of(batch.signals), SIZE)
        if made.guidance.codes is not None:
            maps.driving.sum().backward()
    drawing = {f"model/render/{name}.py" for name in ("raster", "fragment_lists", "area")}
    assert set(fetched.by) <= {*drawing, "model/heads/head.py"}
    assert fetched.by["model/render/fragment_lists.py"] > 2


@pytest.mark.gpu
@GPU[1]
def test_a_step_on_cuda_waits_for_nothing_but_guidance():
    place, config = Place("cuda"), train_config(precision="bfloat16", channels_last=True, ema=0.9)
    taught = place(lesson())
    steps = Steps(Players.make(taught, config, place.device), config, place.device)
    guidance = taught.network.guidance.forward

    def may_wait(*args):
        torch.cuda.set_sync_debug_mode("default")
        try:
            return guidance(*args)
        finally:
            torch.cuda.set_sync_debug_mode("error")

    steps.take(batch_at(0).pin_memory())  # libraries are loaded, states of the optimisers are made
    taught.network.guidance.forward = may_wait
    try:
        steps.take(batch_at(1).pin_memory())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(steps.look()[0]) == 2
