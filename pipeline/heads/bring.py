"""Bring the heads that a benchmark names into the one `.npz` form."""

from pathlib import Path

from model.heads.arrays import HeadArrays, load_arrays, save_head
from pipeline.assets import assets_dir, how_to_get
from pipeline.console import say
from pipeline.store.registry import resolve

# head name -> (file below the heads folder, what turns that file into a head)
HEADS = {
    "puppet": ("puppet.npz", "model.heads.arrays:load_arrays"),
    "puppet_face": ("puppet_face.npz", "model.heads.arrays:load_arrays"),
    "ict": ("ict_facekit.npz", "model.releases.ict:import_ict"),
    "ict_face": ("ict_facekit.npz", "model.releases.ict:import_ict_face"),
    "flame": ("flame.npz", "model.heads.arrays:load_arrays"),
    "bfm": ("bfm.npz", "model.heads.arrays:load_arrays"),
}
# head name -> the asset that `pwm assets import` makes <assets>/<head name>.npz of
IMPORTED = {"flame": "flame", "bfm": "bfm", "ict": "ict", "ict_face": "ict"}


def import_head(name: str, folder: Path) -> HeadArrays:
    """Import a head from its release's file in `folder`, or take the one that `pwm assets import` has made.

    Raises:
        ValueError: there is no head of this name, or the file is another one; the message lists what there is.
        FileNotFoundError: it is in neither place; the message names both, and how to get it.
    """
    importer = resolve({head: target for head, (_, target) in HEADS.items()}, name, "head")
    path = folder / HEADS[name][0]
    if name in IMPORTED and not path.exists():
        path, importer = assets_dir() / f"{name}.npz", load_arrays
        if not path.exists():
            raise FileNotFoundError(
                f"head {name!r}: neither {folder / HEADS[name][0]} nor {path}; {how_to_get(IMPORTED[name])}"
            )
    arrays: HeadArrays = importer(path)
    if arrays.name != name:
        raise ValueError(f"{path} holds head {arrays.name!r}, expected {name!r}")
    say(
        f"heads: {name}: {len(arrays.template)} vertices, {len(arrays.shape_basis)} identity and "
        f"{len(arrays.expression_basis)} expression codes, {len(arrays.joint_names)} joints, from {path}"
    )
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
        save_head(out / f"{name}.npz", import_head(name, folder))
    for other in set(out.glob("*.npz")) - {out / f"{name}.npz" for name in names}:
        other.unlink()
