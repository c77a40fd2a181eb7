"""Files brought in as weights that are something else, damaged or from elsewhere: refused by name, or right."""

import io
import json
import pickle
import random
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.stand_ins import asset_state, write_release
from benchmarks.verdicts import Verdict, project, typed, why_not_clear
from pipeline.metrics.protocols import Opening
from pipeline.metrics.registry import open_measures
from pipeline.params.tree import load_params
from pipeline.store.assets import RECORD, AssetRefused, asset_path, read_record, require
from pipeline.store.provenance import ROOT, sha256_file
from pipeline.tools.recognise import WEIGHTS
from pipeline.tools.weight_layouts import LAYOUTS

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 91\n"
PAGE = b"\n<!DOCTYPE html>\n<html><body>Sign in to download</body></html>"
LAID = (("page laid by hand", PAGE), ("pointer laid by hand", LFS), ("empty laid by hand", b""))
HEADS = ("flame", "bfm")


@dataclass(frozen=True)
class Trap:
    """A pickled object that would write a file if it were run."""

    sprung: str

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return open, (self.sprung, "w")


def _renamed(state: Mapping[str, Any], rename: Callable[[str], str]) -> dict[str, Any]:
    """Other names for all tensors, in the part of the file that holds them as well."""
    return {
        key if isinstance(value, Mapping) else rename(key): _renamed(value, rename)
        if isinstance(value, Mapping)
        else value
        for key, value in state.items()
    }


def _changed(name: str, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    state = asset_state(name)
    part = LAYOUTS[name].part
    change(state[part] if part else state)
    return state


def _drop(state: dict[str, Any]) -> None:
    del state[next(iter(state))]


def _reshape(state: dict[str, Any]) -> None:
    state[next(iter(state))] = torch.zeros(3)


def _spoil(state: dict[str, Any]) -> None:
    key = next(iter(state))
    state[key] = torch.full((1,) * state[key].dim(), float("nan")).expand(state[key].shape)


def _saved(held: object, **how: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(held, stream, **how)
    return stream.getvalue()


def _zipped(data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("weights.pth", data)
    return stream.getvalue()


def _flipped(data: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(data)
    damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


Make = Callable[[str, bytes, random.Random, Path], bytes]  # asset, a right file, dice, what a trap would write

ANY: dict[str, Make] = {
    "whole": lambda name, data, rng, trap: data,
    "empty": lambda name, data, rng, trap: b"",
    "HTML page": lambda name, data, rng, trap: PAGE,
    "git-lfs pointer": lambda name, data, rng, trap: LFS,
    "JSON answer": lambda name, data, rng, trap: b'{"message": "Not Found"}',
    "noise": lambda name, data, rng, trap: rng.randbytes(4096),
    "truncated": lambda name, data, rng, trap: data[: rng.randrange(len(data) // 50 + 1, len(data))],
    "archive of the file": lambda name, data, rng, trap: _zipped(data),
    "pickled object": lambda name, data, rng, trap: pickle.dumps(Trap(str(trap))),
    "weights of another": lambda name, data, rng, trap: _saved(
        asset_state(rng.choice([other for other in sorted(LAYOUTS) if other != name]))
    ),
}
TORCH: dict[str, Make] = {
    "whole, old form": lambda name, data, rng, trap: _saved(asset_state(name), _use_new_zipfile_serialization=False),
    "bit flipped": lambda name, data, rng, trap: _flipped(data, rng),
    "saved object": lambda name, data, rng, trap: _saved({"state": Trap(str(trap))}),
    "saved network": lambda name, data, rng, trap: _saved(torch.nn.Linear(2, 2)),
    "prefix module.": lambda name, data, rng, trap: _saved(_renamed(asset_state(name), lambda key: f"module.{key}")),
    "keys of another system": lambda name, data, rng, trap: _saved(
        _renamed(asset_state(name), lambda key: key.replace(".weight", "/kernel:0").replace(".", "/"))
    ),
    "wrapped in a checkpoint": lambda name, data, rng, trap: _saved({"epoch": 3, "model": asset_state(name)}),
    "tensor missing": lambda name, data, rng, trap: _saved(_changed(name, _drop)),
    "tensor of another shape": lambda name, data, rng, trap: _saved(_changed(name, _reshape)),
    "NaN": lambda name, data, rng, trap: _saved(_changed(name, _spoil)),
}
TAKEN = ("whole", "whole, old form")
EITHER = ("bit flipped",)  # bits that no number stands in, such as an archive's times, do no harm


def fuzz_weights(folder: Path, seed: int) -> Iterator[Verdict]:
    """Bring every fault in for every asset of weights, in a project of its own below `folder`."""
    for number, name in enumerate(sorted(WEIGHTS)):
        whole = write_release(folder / f"{name}.whole", name).read_bytes()
        faults = ANY if name == "arcface" else ANY | TORCH
        for fault, make in faults.items():
            case = folder / f"{number}.{len(list(folder.iterdir()))}"
            case.mkdir()
            file, trap = case / "weights brought", case / "sprung"
            file.write_bytes(make(name, whole, random.Random(f"{seed}/{name}/{fault}"), trap))
            with project(case) as assets:
                verdict = _imported(name, fault, file, assets, whole)
            sprung = "ran what was pickled" if trap.exists() else ""
            yield Verdict("weights", fault, verdict.outcome, verdict.silent or sprung)
        yield from _laid_by_hand(folder, name, *LAID[number % len(LAID)])


def _imported(name: str, fault: str, file: Path, assets: Path, whole: bytes) -> Verdict:
    where = f"{name}, {fault}"
    code, said = typed("assets", "import", name, file)
    if code == 0:
        wrong = ""
        if fault not in TAKEN + EITHER:
            wrong = "was taken"
        elif read_record()[name] != sha256_file(file) or require(name).read_bytes() != file.read_bytes():
            wrong = "is there as another file, or on record as one"
        elif fault in EITHER and not _same_numbers(file, whole):
            wrong = "was taken with other numbers"
        return Verdict("weights", fault, "right", wrong and f"{where}: {wrong}")
    wrong = "was refused" if fault in TAKEN else why_not_clear(code, said, str(file))
    if not wrong and (read_record() or list(assets.glob("*"))):
        wrong = "left a trace"
    return Verdict("weights", fault, "refused", wrong and f"{where}: {wrong}")


def _same_numbers(file: Path, whole: bytes) -> bool:
    try:
        found = torch.load(file, weights_only=True)
    except Exception:  # noqa: BLE001 - a damaged file that was taken makes the reader raise anything
        return False
    return _numbers(found) == _numbers(torch.load(io.BytesIO(whole), weights_only=True))


def _numbers(held: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _numbers(v) if isinstance(v, Mapping) else (v.shape, v.flatten()[:1].tolist()) for k, v in held.items()}


def _laid_by_hand(folder: Path, name: str, fault: str, content: bytes) -> Iterator[Verdict]:
    """A bad file put into the assets folder: taking it on record is refused, and so is using it off the record.

    With a record forged as well, columns of that network carry the reason and the others can run.
    """
    case = folder / f"{name}.{fault}"
    case.mkdir()
    with project(case) as assets:
        assets.mkdir()
        path = asset_path(name)
        path.write_bytes(content)
        code, said = typed("assets", "record", name)
        wrong = why_not_clear(code, said, str(path))
        try:
            require(name)
            wrong = wrong or "was used off the record"
        except AssetRefused as error:
            wrong = wrong or ("" if str(path) in str(error) else f"does not name the file: {error}")
        yield Verdict("weights", fault, "refused", wrong and f"{name}, {fault}: {wrong}")
        RECORD.write_text(json.dumps({name: sha256_file(path)}))
        yield from _scored_without(name, f"{fault}, on record")


def _scored_without(name: str, fault: str) -> Iterator[Verdict]:
    params = load_params(ROOT / "profiles" / "voxceleb.yaml")
    heads = {head: Path(f"{head}.npz") for head in HEADS}
    opening = Opening(heads=heads, min_score=0.5, device=torch.device("cpu"))
    measures = open_measures(params.metrics, HEADS, (64, 64), opening)
    odd = [one.id for one in measures if (one.backend is None) != bool(one.reason) or "\n" in one.reason]
    able = {one.backend_name for one in measures if one.backend is not None}
    wrong = f"no reason in one line: {odd}" if odd else "" if able == {"pixels"} else f"can run: {sorted(able)}"
    yield Verdict("weights", fault, "refused", wrong and f"{name}, {fault}: {wrong}")
