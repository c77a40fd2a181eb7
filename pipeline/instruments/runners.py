"""Who runs a small network on images: LiteRT where it is installed, else this project's torch port of it.

On a CPU LiteRT takes a third of the time; on another device the port works in batches. The two agree to 1e-4 px, which
is less than any reading means and more than nothing, so a reading's fingerprint names its runner.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.store.compute.devices import full_precision

_BATCH = 64
_LITERT = "ai_edge_litert"


@dataclass(frozen=True)
class Port:
    """A network of this project and how its weights are read from the released .tflite file.

    Attributes:
        build: makes the network, which gives two outputs.
        convert: reads its state; raises ValueError for another file.
        widths: how many numbers each output holds an image, which tells LiteRT's outputs apart.
    """

    build: Callable[[], nn.Module]
    convert: Callable[[Path], dict[str, Tensor]]
    widths: tuple[int, int]


class Runner(Protocol):
    """Runs one network.

    Attributes:
        name: `litert` or `torch`.
    """

    name: str

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Look at N images (N, S, S, 3) float32, in the network's range; two arrays (N, numbers) float32."""
        ...


def litert_is_there() -> bool:
    """Whether LiteRT (extra `open`) can be imported."""
    return find_spec(_LITERT) is not None


def open_runner(path: Path, port: Port, device: torch.device, name: str = "") -> Runner:
    """Open a network from its .tflite file.

    Args:
        path: the file.
        port: the network that it must hold, whoever runs it.
        device: where torch runs it; LiteRT runs on the CPU alone.
        name: `litert` or `torch`; the better one of those that are there where it is empty.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it holds another network.
    """
    state = port.convert(path)
    if name == "litert" or (not name and device.type == "cpu" and litert_is_there()):
        return LiteRtRunner(path, port.widths)
    network = port.build()
    network.load_state_dict(state)
    return TorchRunner(network, device)


class TorchRunner:
    """The torch port."""

    name = "torch"

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        moved = network.eval().requires_grad_(False).to(device)
        self.network = moved.to(memory_format=torch.channels_last)
        self.device = device

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Runner`."""
        parts = []
        for part in torch.from_numpy(images).split(_BATCH):
            with full_precision(self.device):
                found = self.network(part.to(self.device).permute(0, 3, 1, 2))  # NHWC memory is channels_last
            parts.append([values.flatten(1).float().cpu().numpy() for values in map(_at_least_2d, found)])
        first, second = (np.concatenate(values) for values in zip(*parts, strict=True))
        return first, second


class LiteRtRunner:
    """LiteRT, one image a time; every thread has an interpreter of its own, because none may be shared."""

    name = "litert"

    def __init__(self, path: Path, widths: tuple[int, int]) -> None:
        self._content, self._widths = path.read_bytes(), widths
        self._own = threading.local()
        self._interpreter()

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Runner`."""
        interpreter, source, places = self._interpreter()
        found = tuple(np.empty((len(images), width), np.float32) for width in self._widths)
        for row, image in enumerate(images):
            interpreter.set_tensor(source, image[None])
            interpreter.invoke()
            for values, place in zip(found, places, strict=True):
                values[row] = interpreter.get_tensor(place).ravel()
        return found[0], found[1]

    def _interpreter(self) -> tuple[Any, int, list[int]]:
        """This thread's interpreter, its input, and its outputs in the order of `widths`."""
        if not hasattr(self._own, "opened"):
            from ai_edge_litert.interpreter import Interpreter

            interpreter = Interpreter(model_content=self._content, num_threads=1)
            interpreter.allocate_tensors()
            outputs = {int(np.prod(o["shape"])): o["index"] for o in interpreter.get_output_details()}
            places = [outputs[width] for width in self._widths]
            self._own.opened = interpreter, interpreter.get_input_details()[0]["index"], places
        return self._own.opened  # type: ignore[no-any-return]


def _at_least_2d(values: Tensor) -> Tensor:
    return values[:, None] if values.dim() == 1 else values
