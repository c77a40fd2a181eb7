"""`pwm assets import` of a published system: its released files become one file that its network loads.

Nothing in a file is run, optimisers are passed over, and everything is checked before anything is left behind.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.released.fitting import (
    COUNTER,
    best_fit,
    difference,
    located,
    part_layout,
    place_taken,
    plain_names,
    some,
)
from pipeline.released.normalised import facts_of, write_normalised
from pipeline.released.systems import SYSTEMS, layout

if TYPE_CHECKING:
    import torch

RELEASE = "release"  # which of several releases of the same configuration, where the file tells
Readers = dict[str, Callable[[], "torch.Tensor"]]


class Misfit(ValueError):
    """A file that can be read holds other things than the system's weights; `content` is what it holds."""

    def __init__(self, path: Path, reason: str, content: Any) -> None:
        super().__init__(f"{path} {reason}")
        self.path, self.content = path, content


@dataclass(frozen=True)
class Brought:
    """What an import found.

    Attributes:
        used: the files that were read.
        facts: what the written file says of itself.
        note: what a user should know of this release; may be empty.
    """

    used: tuple[Path, ...]
    facts: Mapping[str, str]
    note: str = field(default="")


def bring(name: str, given: Sequence[Path], released_as: str, out: Path) -> Brought:
    """Import the release of a system.

    Args:
        name: the system, a key of `SYSTEMS`.
        given: its files, or its folder where that is how it is released.
        released_as: what its release calls them, for messages.
        out: where the normalised file is written.

    Raises:
        FileNotFoundError: a file is missing.
        Misfit: a file holds something else; the message says what, or what differs.
        ValueError: a file cannot be read, or holds numbers that are not finite; the message names it.
    """
    system = SYSTEMS[name]
    if system.tensorflow:
        return _bring_folder(name, given, released_as, out)
    from model.releases.torch_file import TorchFile

    for path in given:
        if path.is_dir():
            meant = next((other for other, its in SYSTEMS.items() if its.tensorflow and any(path.glob("*.index"))), "")
            hint = f" (a TensorFlow checkpoint, as {meant}'s)" if meant else ""
            raise ValueError(f"{path} is a folder{hint}, expected {released_as}")
    wanted_files = 1 if system.one_file else len(system.parts)
    if len(given) != wanted_files:
        many = "one file" if wanted_files == 1 else f"{wanted_files} files"
        raise ValueError(f"expected {many} ({released_as}), got {len(given)}: {_paths(given)}")
    with ExitStack() as stack:
        files = [stack.enter_context(TorchFile(path, released_as)) for path in given]
        if system.one_file:
            variant, held, note = _one_file(name, files[0].path, files[0].content)
        else:
            variant, held, note = "", _files_by_part(name, [(file.path, file.content) for file in files]), ""
        release = system.release(files[0].content) if system.release else ""
        facts = facts_of(name, variant, given) | ({RELEASE: release} if release else {})
        kinds = layout(name, variant)
        try:
            write_normalised(out, _readers(held, kinds), kinds, facts)
        except ValueError as error:  # not finite, or damaged where the numbers lie
            said = str(error)
            at = "" if any(str(path) in said for path in given) else f"{_paths(given)} "
            raise ValueError(f"{at}{said}") from None
    notes = [note, *(system.notes[key] for key in ("", variant, release) if key in system.notes)]
    return Brought(tuple(given), facts, "; ".join(dict.fromkeys(filter(None, notes))))


def _bring_folder(name: str, given: Sequence[Path], released_as: str, out: Path) -> Brought:
    from model.releases.torch_file import TorchFile
    from pipeline.released.tensorflow import bring_folder

    if len(given) != 1:
        raise ValueError(f"expected one folder ({released_as}), got {len(given)}: {_paths(given)}")
    if not given[0].is_dir():
        try:
            with TorchFile(given[0], released_as) as file:
                content = file.content
        except ValueError:
            content = None
        if content is not None:
            raise Misfit(given[0], "is a file of torch, where the folder of a TensorFlow checkpoint belongs", content)
        raise ValueError(f"{given[0]} is a file: give the folder that holds it, expected {released_as}")
    used, facts = bring_folder(name, given[0], out)
    return Brought(tuple(used), facts, SYSTEMS[name].notes.get("", ""))


def system_of(content: Any) -> str:
    """What a torch file's content is: the system whose weights it holds (and which part), empty for none."""
    for name, system in SYSTEMS.items():
        if system.tensorflow:
            continue
        if not system.one_file:
            if _fitting_part(name, content):
                return name
        elif (fit := best_fit(name, system, content)) and not fit[1].count:
            return name
    return ""


def _one_file(name: str, path: Path, content: Any) -> tuple[str, dict[str, Any], str]:
    system = SYSTEMS[name]
    fit = best_fit(name, system, content)
    if fit is None:
        held = some(map(str, content)) if isinstance(content, Mapping) else f"a {type(content).__name__}"
        lacking = [part for part in system.parts if not _has(name, part, content)]
        raise Misfit(path, f"has no {' and no '.join(lacking)} of {name}: it holds {held}", content)
    variant, differs = fit
    if differs.count:
        raise Misfit(path, f"holds no weights of {name}{variant and f' ({variant})'}: it {differs}", content)
    note = ""
    for part, places in system.parts.items():
        taken = place_taken(system, part, content)
        if taken is not places[0]:
            note = f"its {'.'.join(taken.under)} was taken, as it has no {'.'.join(places[0].under)}"
    return variant, located(system, content) or {}, note


def _files_by_part(name: str, contents: Sequence[tuple[Path, Any]]) -> dict[str, Any]:
    """Tensors of parts that have a file each, told apart by what they hold."""
    held: dict[str, Any] = {}
    taken: dict[str, Path] = {}
    for path, content in contents:
        part = _fitting_part(name, content)
        if not part:
            if not isinstance(content, Mapping):
                raise Misfit(path, f"holds a {type(content).__name__}, no tensors by name", content)
            state = plain_names(content)
            near = {part: difference(state, part_layout(name, part)) for part in SYSTEMS[name].parts}
            part = min(near, key=lambda part: near[part].count)
            raise Misfit(path, f"holds no part of {name}: the nearest is {part}, and it {near[part]}", content)
        if part in taken:
            missing = [other for other in SYSTEMS[name].parts if other not in (*taken, part)]
            raise ValueError(f"{taken[part]} and {path} are both {part}; {some(missing)} may be missing")
        taken[part] = path
        held |= {f"{part}.{key}": value for key, value in plain_names(content).items()}
    return held


def _fitting_part(name: str, content: Any) -> str:
    if not isinstance(content, Mapping):
        return ""
    state = plain_names(content)
    fits = (part for part in SYSTEMS[name].parts if not difference(state, part_layout(name, part)).count)
    return next(fits, "")


def _has(name: str, part: str, content: Any) -> bool:
    try:
        place_taken(SYSTEMS[name], part, content)
    except StopIteration:
        return False
    return True


def _readers(held: Mapping[str, Any], kinds: Mapping[str, Any]) -> Readers:
    import torch

    def zero() -> torch.Tensor:
        return torch.zeros((), dtype=torch.int64)  # a counter of BatchNorm, the only tensors that may be missing

    return {key: zero if key.endswith(COUNTER) and key not in held else held[key].read for key in kinds}


def _paths(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths)) or "none"
