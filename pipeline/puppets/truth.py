"""What is true in a puppet video: codes, pose and landmarks of every frame, as fits tables."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from pipeline.puppets.clip import Clip
from pipeline.puppets.exact.posing import Posing
from pipeline.puppets.face_codes import true_face_codes
from pipeline.store.fits import build_fits, fits_metadata
from pipeline.store.schema import write_table

IDENTITY = np.array([1, 0, 0, 0, 1, 0], np.float32)
OUTER_EYES = (36, 45)


def clip_truth(clip: Clip, head: HeadModel, face: HeadModel) -> dict[str, pa.Table]:
    """Tabulate the truth of one video for both heads: name of the head -> fits table, one row a video frame.

    `clip` is the video's id, `frame` the video's frame number, landmarks are in the video frame's ndc and `crop_map` is
    the identity. The face head's codes are those that fit the true surface best; `residual` says how well.
    """
    return {head.name: _table(head, clip, clip.fit), face.name: _table(face, clip, face_fit(clip.fit, head, face))}


def write_truth(path: Path, tables: Sequence[pa.Table], model: HeadModel) -> None:
    """Write the truth of all videos for one head."""
    write_table(path, pa.concat_tables(tables).combine_chunks(), fits_metadata(model, "truth", ""))


def face_fit(fit: HeadFit, head: HeadModel, face: HeadModel) -> HeadFit:
    """True codes of the face head for true codes of the puppet head, in the same tracker frame."""
    arrays = (fit.shape.numpy(), fit.expression.numpy(), fit.pose.numpy(), fit.camera.numpy())
    codes = true_face_codes(head.arrays, face.arrays, *arrays)
    shape, expression, pose, camera = (torch.from_numpy(np.ascontiguousarray(c)) for c in codes)
    return HeadFit(shape, expression, pose, camera, fit.tracker_map)


def _table(model: HeadModel, clip: Clip, fit: HeadFit) -> pa.Table:
    size_px = np.array(clip.plan.size_hw[::-1]) / 2
    off_px = (Posing(model).place_landmarks(fit).numpy() - clip.landmarks) * size_px
    eyes_px = (clip.landmarks[:, OUTER_EYES[1]] - clip.landmarks[:, OUTER_EYES[0]]) * size_px
    residual = np.sqrt((off_px**2).sum(-1).mean(-1)) / np.maximum(np.linalg.norm(eyes_px, axis=-1), 1.0)
    count = clip.plan.frames
    return build_fits(
        model,
        clip=[clip.plan.video] * count,
        frame=range(count),
        status=["ok"] * count,
        score=np.ones(count),
        residual=residual,
        fit=fit,
        crop_map=np.tile(IDENTITY, (count, 1)),
        landmarks=clip.landmarks,
    )
