"""Bring the heads that a benchmark names into the one `.npz` form."""

from pathlib import Path

from model.heads.arrays import HeadArrays, load_arrays, save_head
from pipeline.console import say
from pipeline.heads.table import FILES, SHIPPED, asset_of
from pipeline.store.assets import AssetMissing, asset_path, how_to_get, require
from pipeline.store.registry import resolve

# head name -> what turns its file into a head
IMPORTERS = {
    "puppet": "model.heads.arrays:load_arrays",
    "puppet_face": "model.heads.arrays:load_arrays",
    "ict": "model.releases.ict:import_ict",
    "ict_face": "model.releases.ict:import_ict_face",
    "flame": "model.heads.arrays:load_arrays",
    "bfm": "model.heads.arrays:load_arrays",
}


def import_head(name: str, folder: Path) -> HeadArrays:
    """Import a head from its release's file in `folder`, or take the one that `pwm assets import` has made.

    Raises:
        ValueError: there is no head of this name, or the file is another one; the message lists what there is.
        FileNotFoundError: it is in neither place; the message names both, and how to get it.
        AssetRefused: the imported file is not the one on record.
    """
    importer = resolve(IMPORTERS, name, "head")
    path = folder / FILES[name]
    if name in SHIPPED and not path.exists():
        path = SHIPPED[name]
    if asset := asset_of(name, folder):
        try:
            path, importer = require(asset), load_arrays
        except AssetMissing:
            raise FileNotFoundError(
                f"head {name!r}: neither {path} nor {asset_path(asset)}; {how_to_get(asset)}"
            ) from None
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
        names: keys of `IMPORTERS`.
        folder: where the files lie that heads are made from (data.root / data.heads).
        out: folder of the heads; other heads' files in it are removed, so that it holds what was asked for.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder of heads at {folder}: set data.root and data.heads in params.yaml")
    for name in names:
        save_head(out / f"{name}.npz", import_head(name, folder))
    for other in set(out.glob("*.npz")) - {out / f"{name}.npz" for name in names}:
        other.unlink()
