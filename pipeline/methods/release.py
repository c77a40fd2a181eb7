"""What a published system's release looks like: where its files keep which tensors, and what is said of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

OFFICIAL = "official"  # the source of a model whose weights were released


@dataclass(frozen=True)
class Place:
    """Where in a file the tensors of a part lie.

    Attributes:
        under: keys of the file that lead to them; none where the file is them.
        prefix: beginning of their names there.
    """

    under: tuple[str, ...] = ()
    prefix: str = ""


@dataclass(frozen=True)
class System:
    """A published system.

    Attributes:
        network: its class, `module:Class`; the class `ClassConfig` beside it is its configuration.
        parts: attribute of the network -> where its tensors may lie in a torch file, the best place first.
        variants: released configuration -> settings that differ from the class's defaults; the tables' one comes first.
        one_file: whether all parts lie in one file; else each has its own.
        tensorflow: whether the release is a folder of TensorFlow.
        release: tells from a file's content which release it is, where several share a configuration.
        notes: what is said after the import, by variant or release; "" stands for all.
    """

    network: str
    parts: Mapping[str, tuple[Place, ...]] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"": {}})
    one_file: bool = True
    tensorflow: bool = False
    release: Callable[[Any], str] | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
