"""Small data sets of each form, and their way through the stage `crop`."""

import cv2

from pipeline.cropping.pack import crop_all
from pipeline.params.data import SourceParams
from pipeline.sources.listing import list_source
from pipeline.store.clips import ClipStore
from pipeline.store.schema import read_table
from tests.videos import CROP, TUBE, frame_image

TOLERANT = CROP.model_copy(update={"max_fail_rate": 1.0, "max_missing_rate": 1.0})


def source(kind, **changes):
    forms = {
        "crops": {"annotations": None, "videos": "."},
        "video_folder": {"annotations": "landmarks.parquet", "videos": "videos", "forehead": 0.4},
        "vox2_release": {"annotations": None, "videos": "mp4"},
        "fomm_csv": {"annotations": "boxes.csv", "videos": "videos"},
        "voxceleb1": {"annotations": "txt", "videos": "videos"},
    }
    base = {"name": "Set", "kind": kind, "folder": "set", "watch": "set", "split": "test"}
    return SourceParams.model_validate({**base, **forms[kind], **changes})


def crop(root, params, one):
    clips = list_source(one, root, TUBE, "data.first")
    crop_all(clips, root / "clips", params, root / "scratch", workers=0, scheduler=None, clip_timeout_s=60)
    rows = read_table(root / "clips" / "eval" / "ledger.parquet").to_pylist()
    return ClipStore(root / "clips" / "eval"), {row["clip"]: row for row in rows}


def write_images(folder, numbers):
    folder.mkdir(parents=True)
    for number in numbers:
        cv2.imwrite(str(folder / f"{number:07d}.png"), frame_image(number)[..., ::-1])
