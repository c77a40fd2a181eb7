"""Whether tensors of a file are those of a network, and what differs; only names, sides and types are looked at."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.methods.release import Place, System
from pipeline.released.systems import Kind, kind_of, layout

SHOWN = 10  # names of a difference that are told; of the others their number is
COUNTER = "num_batches_tracked"  # of BatchNorm: torch before 0.4.1 had none, and inference does not read it
_WRAPPERS = ("module.", "_orig_mod.")  # of DataParallel, and of torch.compile
_PARAMETRIZED = (  # spectral norm of newer torch -> the released names
    (re.compile(r"parametrizations\.(\w+)\.original$"), r"\1_orig"),
    (re.compile(r"parametrizations\.(\w+)\.0\._(u|v)$"), r"\1_\2"),
)


@dataclass(frozen=True)
class Difference:
    """How the tensors of a file differ from a network's.

    Attributes:
        wanted: how many tensors the network has.
        missing: names that the file lacks.
        other: name -> sides and type in the file and in the network, where they differ.
        extra: names that the network does not know.
    """

    wanted: int
    missing: tuple[str, ...]
    other: Mapping[str, tuple[Kind, Kind]]
    extra: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many names differ."""
        return len(self.missing) + len(self.other) + len(self.extra)

    def __str__(self) -> str:
        said = []
        if self.missing:
            said.append(f"lacks {len(self.missing)} of {self.wanted} tensors: {some(self.missing)}")
        if self.other:
            each = [f"{key} {_kind(a)} where {_kind(b)} belongs" for key, (a, b) in self.other.items()]
            said.append(f"has {len(self.other)} in another shape or type: {some(each)}")
        if self.extra:
            said.append(f"has {len(self.extra)} of another network: {some(self.extra)}")
        return "; ".join(said)


def difference(found: Mapping[str, Any], wanted: Mapping[str, Kind]) -> Difference:
    """Compare; BatchNorm's counters may be missing, and where the network has none they may be there."""
    kinds = {key: kind_of(value) for key, value in found.items() if is_tensor(value)}
    return Difference(
        len(wanted),
        tuple(key for key in wanted if key not in kinds and not key.endswith(COUNTER)),
        {key: (kinds[key], kind) for key, kind in wanted.items() if key in kinds and kinds[key] != kind},
        tuple(key for key in found if key not in wanted and not key.endswith(COUNTER)),
    )


def located(system: System, content: Any) -> dict[str, Any] | None:
    """What a file holds where a system keeps its parts, as `part.key`; None where there is no such place."""
    found: dict[str, Any] = {}
    taken: dict[tuple[str, ...], set[str]] = {}
    for part, places in system.parts.items():
        for place in places:
            if state := _at(content, place):
                found |= {f"{part}.{key}": value for key, value in state.items()}
                taken.setdefault(place.under, set()).add(place.prefix)
                break
        else:
            return None
    for under, prefixes in taken.items():  # what stands between parts that share a place is part of the comparison
        state = _at(content, Place(under)) or {}
        found |= {key: value for key, value in state.items() if not key.startswith(tuple(prefixes))}
    return found


def place_taken(system: System, part: str, content: Any) -> Place:
    """The place from which `located` takes a part."""
    return next(place for place in system.parts[part] if _at(content, place))


def best_fit(name: str, system: System, content: Any) -> tuple[str, Difference] | None:
    """The released configuration that a file is nearest to, and what differs; None where a part has no place in it."""
    found = located(system, content)
    if found is None:
        return None
    fits = [(variant, difference(found, layout(name, variant))) for variant in system.variants]
    return min(fits, key=lambda fit: fit[1].count)


def part_layout(name: str, part: str, variant: str = "") -> dict[str, Kind]:
    """The tensors of one part, by their names in it."""
    start = f"{part}."
    return {key.removeprefix(start): kind for key, kind in layout(name, variant).items() if key.startswith(start)}


def plain_names(state: Mapping[Any, Any]) -> dict[str, Any]:
    """Tensors by their released names: without what wrappers and newer versions of torch add to them."""
    named = {str(key): value for key, value in state.items() if key != "_metadata"}
    while wrapper := next((w for w in _WRAPPERS if named and all(key.startswith(w) for key in named)), ""):
        named = {key.removeprefix(wrapper): value for key, value in named.items()}
    renamed = {_released_name(key): value for key, value in named.items()}
    return renamed if len(renamed) == len(named) else named


def is_tensor(value: Any) -> bool:
    """Whether something is a tensor, or stands for one that has not been read."""
    return hasattr(value, "shape") and hasattr(value, "dtype")


def some(names: Collection[str] | Iterable[str]) -> str:
    """The first names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return (", ".join(listed[:SHOWN]) or "nothing") + more


def _at(content: Any, place: Place) -> dict[str, Any] | None:
    for key in place.under:
        content = content.get(key) if isinstance(content, Mapping) else None
    if not isinstance(content, Mapping):
        return None
    start = place.prefix
    return {
        key.removeprefix(start): value for key, value in plain_names(content).items() if key.startswith(start)
    } or None


def _released_name(key: str) -> str:
    for pattern, released in _PARAMETRIZED:
        key = pattern.sub(released, key)
    return key


def _kind(kind: Kind) -> str:
    return f"({', '.join(map(str, kind[0]))}) {kind[1]}"
