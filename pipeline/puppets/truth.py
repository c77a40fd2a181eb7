"""What is true in a puppet video: codes, pose and landmarks of every frame, as fits tables."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from pipeline.fits import build_fits, fits_metadata
from pipeline.puppets.clip import Clip
from pipeline.puppets.face_codes import true_face_codes
from pipeline.schema import write_table

IDENTITY = np.array([1, 0, 0, 0, 1, 0], np.float32)
OUTER_EYES = (36, 45)


def write_truth(out: Path, clips: Sequence[Clip], head: HeadModel, face: HeadModel) -> None:
    """Write `out`/puppet.parquet and `out`/puppet_face.parquet, one row a video frame.

    `clip` is the video's id, `frame` the video's frame number, landmarks are in the video frame's ndc and `crop_map` is
    the identity. The face head's codes are those that fit the true surface best; `residual` says how well.
    """
    for model, fits in ((head, [c.fit for c in clips]), (face, [face_fit(c.fit, head, face) for c in clips])):
        write_table(out / f"{model.name}.parquet", _table(model, clips, fits), fits_metadata(model, "truth", ""))


def face_fit(fit: HeadFit, head: HeadModel, face: HeadModel) -> HeadFit:
    """True codes of the face head for true codes of the puppet head, in the same tracker frame."""
    arrays = (fit.shape.numpy(), fit.expression.numpy(), fit.pose.numpy(), fit.camera.numpy())
    codes = true_face_codes(head.arrays, face.arrays, *arrays)
    return HeadFit(*(torch.from_numpy(np.ascontiguousarray(c)) for c in codes), fit.tracker_map)


def _table(model: HeadModel, clips: Sequence[Clip], fits: Sequence[HeadFit]) -> pa.Table:
    fit = HeadFit.cat(fits)
    landmarks = np.concatenate([c.landmarks for c in clips])
    sizes = np.concatenate([np.tile(np.array(c.plan.size_hw[::-1]) / 2, (c.plan.frames, 1)) for c in clips])
    off_px = (model.place_landmarks(fit).numpy() - landmarks) * sizes[:, None]
    eyes_px = (landmarks[:, OUTER_EYES[1]] - landmarks[:, OUTER_EYES[0]]) * sizes
    residual = np.sqrt((off_px**2).sum(-1).mean(-1)) / np.maximum(np.linalg.norm(eyes_px, axis=-1), 1.0)
    count = len(landmarks)
    return build_fits(
        model,
        clip=[c.plan.video for c in clips for _ in range(c.plan.frames)],
        frame=[i for c in clips for i in range(c.plan.frames)],
        status=["ok"] * count,
        score=np.ones(count),
        residual=residual,
        fit=fit,
        crop_map=np.tile(IDENTITY, (count, 1)),
        landmarks=landmarks,
    )
