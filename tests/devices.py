"""Where a test of `model` computes: on the processor, and on a CUDA device where there is one.

`placed` and `on_device` (tests/unit/model/conftest.py) give each test a place. What a test draws and builds is made on
the processor, the same everywhere, and then moved: code that makes a tensor of its own on the wrong device is found.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

# How far two orders of the same sums may lie apart where values are about 1.
ATOL = {
    ("cpu", torch.float32): 1e-6,
    ("cuda", torch.float32): 1e-5,  # other sums in convolutions and reductions; TF32 is off in tests
    ("cpu", torch.float64): 1e-12,
    ("cuda", torch.float64): 1e-11,
}
GPU = (
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
)


@dataclass(frozen=True)
class Place:
    """A device, and the dtype of what is put there; None leaves every dtype as it is.

    A place is called with whatever a test has made: a tensor, a module, a record, a list or a mapping of these. Whole
    numbers and truth values keep their dtype. A module is moved itself; of all else a copy is.
    """

    name: str
    dtype: torch.dtype | None = None

    @property
    def device(self) -> torch.device:
        return torch.device(self.name)

    @property
    def atol(self) -> float:
        """`ATOL` of this place."""
        return ATOL[self.name, self.dtype or torch.float64]

    def __call__(self, made: Any) -> Any:
        if isinstance(made, nn.Module):
            return made.to(self.device, self.dtype)
        if isinstance(made, Tensor):
            moved = made.detach().to(self.device, self.dtype if made.is_floating_point() else None)
            return moved.requires_grad_() if made.requires_grad else moved
        if isinstance(made, Mapping):
            return {key: self(value) for key, value in made.items()}
        if isinstance(made, list | tuple):
            return type(made)(self(value) for value in made)
        if is_dataclass(made) and not isinstance(made, type):
            return replace(made, **{field.name: self(getattr(made, field.name)) for field in fields(made)})
        if isinstance(made, int | float | str | None):
            return made
        if hasattr(made, "players"):  # a lesson (model/method/lesson.py)
            for part in (made.network, made.rivals, made.fixed):
                self(part)
            return made
        raise TypeError(f"a {type(made).__name__} cannot be put on a device")

    def assert_close(self, found: Tensor, wanted: Tensor, times: float = 1.0) -> None:
        """Both are the same to `times` this place's tolerance, on the same device and in the same dtype."""
        torch.testing.assert_close(found, wanted, rtol=0, atol=times * self.atol)


DEVICES = [pytest.param(Place("cpu"), id="cpu"), pytest.param(Place("cuda"), id="cuda", marks=GPU)]
PLACES = [  # the quick suite computes in single precision alone
    pytest.param(Place("cpu", torch.float32), id="cpu"),
    pytest.param(Place("cpu", torch.float64), id="cpu-float64", marks=pytest.mark.slow),
    pytest.param(Place("cuda", torch.float32), id="cuda", marks=GPU),
    pytest.param(Place("cuda", torch.float64), id="cuda-float64", marks=GPU),
]


@contextmanager
def single_precision() -> Iterator[None]:
    """Convolutions and products of float32 in float32, not in TF32 as cuDNN has it by default."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
