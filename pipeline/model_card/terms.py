"""Under which terms the parts stand that a model was trained with: its head, its yardstick, its fits and its videos."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.heads.table import IMPORTED, SHIPPED
from pipeline.instrument_table import INSTRUMENTS
from pipeline.params.tree import Params
from pipeline.store.assets import Asset, asset_meant, table

OURS = "this project's own (MIT)"
PROCEDURAL = "procedural puppets"
UNKNOWN = "not known here"


def terms(config: Mapping[str, Any], tracker: str | None, videos: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Name part, what it is and its licence.

    Args:
        config: the model's config.json.
        tracker: whose fits it was trained with, None where that is not known.
        videos: the data sets that it was trained on: name -> what it is, `PROCEDURAL` for those of this project.
    """
    if head := config["head"]:
        yield "head", head["name"], _of_head(head["name"])
    provenance = config["provenance"]
    if perceptual := provenance.get("network", {}).get("perceptual"):
        name = asset_meant(perceptual["weights"])
        yield "perceptual loss", perceptual["backbone"], _of_asset(table()[name]) if name else OURS
    if tracker is not None:
        assets = INSTRUMENTS[tracker].weights if tracker in INSTRUMENTS else ()
        yield "tracker", tracker, "; ".join(f"{name}: {_of_asset(table()[name])}" for name in assets) or OURS
    for name, kind in videos.items():
        yield "videos", name, OURS if kind == PROCEDURAL else "that of the data set, whose owner says what may be done"


def is_procedural(params: Params | None, folder: str) -> bool:
    """Whether a data set's folder is one that the stage `videos` writes."""
    return params is not None and folder in {f"data/videos/{corpus}" for corpus in params.bench.corpora}


def _of_head(name: str) -> str:
    if name in SHIPPED:
        return OURS
    return _of_asset(table()[IMPORTED[name]]) if name in IMPORTED else UNKNOWN


def _of_asset(asset: Asset) -> str:
    return f"{asset.licence} ({asset.source})"
