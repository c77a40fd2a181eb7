"""Parts of a training step that torch.compile turns into few kernels, in place: weights and their names stay.

What pays says so itself: a module's `traces_whole` names those of its methods that torch.compile takes in one piece.
Guidance is not among them (how much a mesh covers is known only once it is drawn), and neither are optimisers, which
are one kernel each.

Choice: of the discriminator only the distance of its features is compiled. Both players' gradients pass through its
network, one after the other, and compiled code cannot leave out the gradients that a pass is not asked for: it would
compute those of all its weights twice.
"""

import copy
import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from torch import nn

from model.method.lesson import Lesson
from model.training.shared_norm import SharedBatchNorm

SHAPES = 64  # forms of one function that are compiled: with shared statistics each level's layers are compiled apart
COMPILERS = ("cc", "gcc", "clang")  # any of these builds what launches a kernel


def lacking() -> str:
    """Say what this machine lacks to compile for its GPU; nothing if it can."""
    if find_spec("triton") is None:
        return "there is no package triton"
    if not any(shutil.which(name) for name in (os.environ.get("CC", ""), *COMPILERS) if name):
        return "there is no C compiler (cc, gcc, clang, or one that CC names)"
    return ""


def compile_parts(lesson: Lesson, backend: str = "inductor", fullgraph: bool = False) -> list[str]:
    """Let the methods of a lesson's networks that trace whole be compiled when they are first called.

    One lesson of a process is compiled at a time: what others have compiled is forgotten.

    Where processes share statistics of normalisation, `SharedBatchNorm` stays outside: its all-reduce does not trace,
    and what lies between two of them is compiled apart.

    Args:
        lesson: changed in place; its state dicts stay as they are.
        backend: of torch.compile.
        fullgraph: whether a method that does not trace whole is an error rather than compiled in pieces.

    Returns:
        What was found, as `Class.method`.
    """
    import torch._dynamo.config  # seconds, for those alone who compile
    import torch._functorch.config

    torch.compiler.reset()  # forms of networks of before count against the limit of this one's
    # Each player's backward pass but the last keeps the graph, which may then not reuse what it saved.
    torch._functorch.config.donated_buffer = False
    found = []
    for module in [m for networks in (lesson.network, lesson.rivals, lesson.fixed) for m in networks.modules()]:
        if isinstance(module, SharedBatchNorm):
            torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, SHAPES)
            _replace(module, "forward", torch.compiler.disable(module.forward))
        for name in getattr(module, "traces_whole", ()):
            compiled = torch.compile(getattr(module, name), backend=backend, fullgraph=fullgraph, dynamic=False)
            _replace(module, name, compiled)
            found.append(f"{type(module).__name__}.{name}")
    return found


def failed_to_compile(error: BaseException) -> bool:
    """Whether an error is of the compiler rather than of what was compiled."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))


class _Method:
    """A module's method in another form; a copy of the module has the method as it was written."""

    def __init__(self, module: nn.Module, name: str, form: Callable[..., Any]) -> None:
        self._module, self._name, self._form = module, name, form

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._form(*args, **options)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return getattr(type(self._module), self._name).__get__(copy.deepcopy(self._module, memo))


def _replace(module: nn.Module, name: str, by: Callable[..., Any]) -> None:
    """Give one module another method; what lies in its `__dict__` is no part of its state."""
    module.__dict__[name] = _Method(module, name, by)
