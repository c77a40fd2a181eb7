"""Where the heads that a benchmark can name come from: a file in the folder of heads, or an imported asset."""

from pathlib import Path

_PUPPETS = Path("pipeline/puppets/assets")

# head name -> its file below the folder of heads (data.root / data.heads)
FILES = {
    "puppet": "puppet.npz",
    "puppet_face": "puppet_face.npz",
    "ict": "ict_facekit.npz",
    "ict_face": "ict_facekit.npz",
    "flame": "flame.npz",
    "bfm": "bfm.npz",
}
# head name -> the asset that stands in where that file is not there
IMPORTED = {"flame": "flame", "bfm": "bfm", "ict": "ict", "ict_face": "ict_face"}
# heads that come with the project: they stand in where the folder of heads has no file of theirs
SHIPPED = {"puppet": _PUPPETS / "puppet.npz", "puppet_face": _PUPPETS / "puppet_face.npz"}


def asset_of(name: str, folder: Path) -> str | None:
    """The asset that a head is taken from, None where `folder` has its file or no asset makes it."""
    return None if name in FILES and (folder / FILES[name]).exists() else IMPORTED.get(name)
