"""Bring the heads that a benchmark names into the one `.npz` form."""

from pathlib import Path

from model.heads.arrays import HeadArrays, save_head
from pipeline.console import say
from pipeline.registry import resolve

# head name -> (file below the heads folder, what turns that file into a head)
HEADS = {
    "puppet": ("puppet.npz", "model.heads.arrays:load_arrays"),
    "puppet_face": ("puppet_face.npz", "model.heads.arrays:load_arrays"),
    "ict": ("ict_facekit.npz", "model.heads.ict:import_ict"),
    "ict_face": ("ict_facekit.npz", "model.heads.ict:import_ict_face"),
}


def import_head(name: str, folder: Path) -> HeadArrays:
    """Import a head from its release's file in `folder`.

    Raises:
        ValueError: there is no head of this name, or the file is another one; the message lists what there is.
        FileNotFoundError: the file is not in `folder`.
    """
    importer = resolve({head: target for head, (_, target) in HEADS.items()}, name, "head")
    arrays: HeadArrays = importer(folder / HEADS[name][0])
    if arrays.name != name:
        raise ValueError(f"{folder / HEADS[name][0]} holds head {arrays.name!r}, expected {name!r}")
    return arrays


def write_heads(names: list[str], folder: Path, out: Path) -> None:
    """Write `out`/<name>.npz for every name.

    Args:
        names: keys of `HEADS`.
        folder: where the files lie that heads are made from (data.root / data.heads).
        out: folder of the heads; other heads' files in it are removed, so that it holds what was asked for.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder of heads at {folder}: set data.root and data.heads in params.yaml")
    for name in names:
        arrays = import_head(name, folder)
        save_head(out / f"{name}.npz", arrays)
        say(
            f"heads: {name}: {len(arrays.template)} vertices, {len(arrays.shape_basis)} identity and "
            f"{len(arrays.expression_basis)} expression codes, {len(arrays.joint_names)} joints"
        )
    for other in set(out.glob("*.npz")) - {out / f"{name}.npz" for name in names}:
        other.unlink()
