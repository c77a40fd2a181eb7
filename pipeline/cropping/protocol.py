"""Crop protocols: what decides where a clip's frames come from and what they look like, as named, hashed data.

The id of a protocol, such as `fomm_tube+triangle_antialias@3f9c02d1`, names the rule, the resize and a hash
of everything that it was told. Two tables are of the same crops only where their ids agree.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.params.data import LANDMARKED, CropParams, SourceParams, TubeParams
from pipeline.sources.boxes import REFERENCE_HEIGHT_PX
from pipeline.store.provenance import sha256_text

# What crop_vox.py of video-preprocessing does unless told otherwise; only these numbers bear its name.
FOMM_TUBE = TubeParams(
    iou_with_first=0.25,
    min_frames=64,
    max_frames=1024,
    min_size_px=256,
    increase=0.1,
    enlarge="square",
    outside="reject",
    pixels="stored",
)

FRAMES = "start <= time * rate < end"
BOXES = {
    "voxceleb1": f"union of the annotation, px of a {REFERENCE_HEIGHT_PX}-high frame",
    "voxceleb2": "union of the annotation, fractions of the frame",
    "fomm_csv": "listed, int(v * real / listed), cut at the frame's edge",
    "vox2_release": "the frame",
    "crops": "the frame",
    "video_folder": "union of the landmarks' boxes",
    "people_folder": "union of the landmarks' boxes",
}


@dataclass(frozen=True)
class Protocol:
    """A crop protocol: its name, and all that it was told."""

    name: str
    data: dict[str, Any]

    @property
    def id(self) -> str:
        """Name, resize and hash."""
        return f"{self.name}+{self.data['resize']}@{sha256_text(self.data)[:8]}"


def protocol_of(source: SourceParams, crop: CropParams) -> Protocol:
    """Return the protocol by which the clips of a source are cropped."""
    data: dict[str, Any] = {
        "boxes": BOXES[source.kind],
        "frames": FRAMES,
        "resize": crop.resize,
        "size_px": crop.size_px,
    }
    if source.kind in ("voxceleb1", "voxceleb2", *LANDMARKED):
        as_usual = {"pixels"} if crop.tube.pixels == FOMM_TUBE.pixels else set()  # ids from before there was a choice
        data |= {"tube": crop.tube.model_dump(exclude=as_usual), "forehead": source.forehead}
        if source.detections is not None:
            data["boxes"] = "union of the detections that overlap the annotation most"
        return Protocol("fomm_tube" if crop.tube == FOMM_TUBE else "tube", data)
    names = {"fomm_csv": "fomm_csv", "vox2_release": "vox2_release", "crops": "as_given"}
    return Protocol(names[source.kind], data)


def split_name(source: SourceParams) -> str:
    """Say in words who is trained and tested on."""
    if source.split == "listed":
        return {"fomm_csv": "FOMM's csv", "crops": "folders train and test", "people_folder": "people.csv"}.get(
            source.kind, "people.parquet"
        )
    if source.split == "seeded":
        return f"{source.test_share:g} of the people tested, drawn by seed {source.split_seed}"
    return "official" if source.split == "official" else "all tested"


def crop_facts(sources: Iterable[SourceParams], crop: CropParams) -> dict[str, str]:
    """Metadata of a clip index and its ledger: by data set, the protocol's id and the split."""
    sources = list(sources)
    return {
        "protocol": json.dumps({source.name: protocol_of(source, crop).id for source in sources}),
        "split": json.dumps({source.name: split_name(source) for source in sources}),
        "size_px": str(crop.size_px),
    }
