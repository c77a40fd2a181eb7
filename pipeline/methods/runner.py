"""Any model, of any method, as one thing that animates frames of clips."""

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from model.frame.layout import lay_out
from model.heads.head import HeadModel, load_head
from model.method.files import CONFIG, WEIGHTS, check_head, load_weights, read_config
from model.method.network import Made
from pipeline.methods.placement import put_back
from pipeline.methods.protocol import Adapter, View
from pipeline.methods.registry import adapter_named
from pipeline.methods.views import LANDMARKS, ClipView
from pipeline.store.fits import FitTable


class Files:
    """The files that a model's frames are made of.

    Args:
        model: folder of the model.
        heads: folder of heads, `<head>.npz`.
        fits: folder of fits, `<head>/eval.parquet`.
        bench_head: head whose fits have the landmarks that methods without a head of their own are driven by.

    Attributes:
        method: the model's method.
        adapter: its adapter's class.
        head: file of the head that it was trained with; None where it needs none.
        fits: table of fits that drives it; None where images do.

    Raises:
        FileNotFoundError: the folder holds no model.
        ValueError: it is of an unknown method.
    """

    def __init__(self, model: Path, heads: Path, fits: Path, bench_head: str) -> None:
        self.model, self.config = model, read_config(model)
        self.method: str = self.config["method"]
        self.adapter = adapter_named(self.method)
        trained_with = self.config["head"] and self.config["head"]["name"]
        self.head = heads / f"{trained_with}.npz" if trained_with else None
        table = self.adapter.table
        of_head = {"": "", "own": trained_with, "landmarks": bench_head}.get(table, trained_with or table)
        self.fits = fits / of_head / "eval.parquet" if of_head else None

    @property
    def all(self) -> list[Path]:
        """All of them, in a fixed order, for keys."""
        found = [self.model / WEIGHTS, self.model / CONFIG, self.head, self.fits]
        return [path for path in found if path is not None]


class MethodRunner:
    """A model, filled and ready, with the fits that drive it.

    Args:
        files: its files.
        clips: clips whose fits are read.
        device: where to run.
        own_crop: whether in the system's own crop.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: model, head and fits do not belong together; the message names both sides.
    """

    def __init__(self, files: Files, clips: Collection[str], device: torch.device, own_crop: bool = False) -> None:
        head = load_head(files.head) if files.head else None
        if head is not None:
            check_head(files.model, files.config, head)
        self.device, self.own_crop = device, own_crop
        self.fits = read_fits(files, head, clips)
        network = files.adapter.build(files.config, head)
        load_weights(files.model, network)
        self.network = settled(network.eval()).to(device)
        lay_out(self.network, channels_last=True)  # up to a fifth less time on a CPU
        self.adapter: Adapter = files.adapter(self.network, head)

    def view(
        self, frames_u8: Callable[[], np.ndarray], size_hw: tuple[int, int], clips: np.ndarray, numbers: np.ndarray
    ) -> ClipView:
        """Frames of clips as this method's adapter reads them; arguments as of `ClipView`."""
        return ClipView(frames_u8, size_hw, clips, numbers, self.fits, self.device)

    @torch.inference_mode()
    def animate(self, source: View, driving: View, same: Tensor) -> Made:
        """Animate B frames by B others, in the clip's frame; `same` (B,) says where both show one person."""
        driven = self.adapter.drive(source, driving, same.to(self.device), self.own_crop)
        made: Made = self.network(driven.source.contiguous(memory_format=torch.channels_last), driven.signals)
        return replace(made, image=put_back(made.image, source.size_hw, driven.squares, source.images))


def read_fits(files: Files, head: HeadModel | None, clips: Collection[str]) -> FitTable | None:
    """The table that drives a model, of some clips; None where images do.

    Raises:
        ValueError: it was fitted with another head than the model was trained with.
    """
    if files.fits is None:
        return None
    if head is not None and files.adapter.table != "landmarks":
        return FitTable.read(files.fits, head, clips=clips)
    return FitTable.read(files.fits, clips=clips, beside=[LANDMARKS])


def settled(network: nn.Module) -> nn.Module:
    """Replace spectrally normalised weights by their values, which every pass would compute anew; in place.

    The network must be in its state for inference: in training each look at such a weight changes it.
    """
    for module in list(network.modules()):
        if is_parametrized(module):
            remove_parametrizations(module, "weight")
    return network
