"""Generated frames between runs: an edit of a metric scores again and generates nothing.

What a method made lies in scratch under all that it depends on, in pieces of some thousand pairs, so that a killed run
goes on where it was. The finished pieces, behind each other, are the predictions.
"""

from collections.abc import Callable, Iterable, Sequence
from math import lcm
from pathlib import Path

import pyarrow as pa
import torch

from model.atomic import written_aside
from pipeline.bench.generate import Runner, generate
from pipeline.bench.pair_frames import PairFrames
from pipeline.bench.predictions import BATCH, write_predictions
from pipeline.methods.registry import adapter_module
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_file, sha256_text
from pipeline.store.schema import PREDICTIONS
from pipeline.store.scratch_root import scratch_dir
from pipeline.store.shown import name_people

KIND = "predictions"
PIECE = 2048  # pairs a piece, or somewhat more: whole batches of the network and of the file


def keep_generated(
    key: str, pairs: PairFrames, open_runner: Callable[[], Runner], batch_size: int, out: Path, piece: int = PIECE
) -> int:
    """Write a method's predictions, of which only those are generated that scratch does not hold.

    Args:
        key: hash of all that the frames depend on, see `generation_key`.
        pairs: what is generated.
        open_runner: opens the method; not called when nothing is to be generated.
        batch_size: pairs a forward pass.
        out: the predictions file to write.
        piece: pairs a piece, rounded up to whole batches.

    Returns:
        How many pairs were generated.
    """
    folder = scratch_dir(KIND, key)
    name_people(folder, pairs.people)
    size = -(-piece // lcm(batch_size, BATCH)) * lcm(batch_size, BATCH)
    parts = {folder / f"{start:08d}.arrow": slice(start, start + size) for start in range(0, len(pairs), size)}
    absent = {path: part for path, part in parts.items() if not path.exists()}
    if absent:
        runner = open_runner()
        for path, part in absent.items():
            chosen = pairs.select(part)
            write_predictions(path, chosen.pair_id.tolist(), generate(runner, chosen, batch_size))
    join_predictions(list(parts), out)
    return sum(len(pairs.pair_id[part]) for part in absent.values())


def join_predictions(pieces: Sequence[Path], out: Path) -> None:
    """Put predictions files behind each other; all but the last hold whole record batches."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(out) as partial, pa.ipc.new_file(str(partial), PREDICTIONS) as writer:
        for path in pieces:
            with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
                for number in range(reader.num_record_batches):
                    writer.write_batch(reader.get_batch(number))


def generation_key(
    method: str,
    own_crop: bool,
    files: Iterable[Path],
    pairs: PairFrames,
    pairs_sha256: str,
    names: Sequence[bytes],
    batch_size: int,
    device: torch.device,
) -> str:
    """Hash all that generated frames depend on.

    Args:
        method: whose adapter makes what drives; its code counts.
        own_crop: whether it runs in a crop of its own.
        files: the method's own files, its head and the head's fits, in a fixed order; their bytes count.
        pairs: the pairs.
        pairs_sha256: hash of their list.
        names: of the rows of `pairs.frames`; equal names, equal pixels.
        batch_size: pairs a forward pass: another batch may give other last digits.
        device: where the method runs.
    """
    shown = [names[row].hex() for side in (pairs.source_row, pairs.driving_row) for row in side]
    code = code_sha256("pipeline.bench.kept", adapter_module(method))
    made_of = [sha256_file(path) for path in files]
    return sha256_text(made_of, own_crop, pairs_sha256, shown, batch_size, arithmetic(device), code)


def arithmetic(device: torch.device) -> str:
    """Name what decides on the last digits of a network's numbers: the GPU, or the processor's vector instructions."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} {torch.backends.cpu.get_cpu_capability()}"
