"""Fit tables: numbers of good rows that are not finite never reach a head."""

import re

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from pipeline.store.fits import ANGLES, FitTable, build_fits, fits_metadata
from pipeline.store.schema import write_table
from tests.helpers import random_head


@pytest.mark.parametrize("field", ["shape", "expression", "pose", "camera", "tracker_map"])
@pytest.mark.parametrize("status", ["ok", "no_landmarks"])
def test_a_good_row_that_is_not_finite_is_refused_by_table_row_and_field(tmp_path, field, status):
    head, count = HeadModel(random_head()), 3
    widths = (head.num_shape, head.num_expression, head.num_pose, head.num_camera, 6)
    fit = HeadFit(*(torch.full((count, width), 0.1) for width in widths))
    getattr(fit, field)[1, -1] = torch.nan
    table = build_fits(
        head, clip=["a"] * count, frame=range(count), status=["ok", status, "ok"], score=np.ones(count),
        residual=np.zeros(count), fit=fit, crop_map=np.zeros((count, 6)), landmarks=np.zeros((count, 136)),
    )  # fmt: skip
    pq.write_table(table, tmp_path / "fits.parquet")
    fits = FitTable.read(tmp_path / "fits.parquet")
    assert len(fits.head_fit([0, 2])) == 2
    if status == "ok":
        table = rf"{re.escape(str(tmp_path))}/fits\.parquet"
        message = f"{table}: {field} of frame 1 of clip a is not finite, though its status is ok"
        with pytest.raises(ValueError, match=message):
            fits.head_fit([2, 1])
    else:
        assert getattr(fits.head_fit([2, 1]), field)[1].isnan().any()


def test_fits_of_some_clips_are_read_without_the_rest(tmp_path):
    head = HeadModel(random_head())
    clips, frames = ["a", "a", "b", "b", "b", "c"], [0, 1, 0, 1, 2, 0]
    widths = (head.num_shape, head.num_expression, head.num_pose, head.num_camera, 6)
    values = HeadFit(*(torch.arange(6.0)[:, None].expand(6, width).contiguous() for width in widths))
    table = build_fits(
        head, clip=clips, frame=frames, status=["ok"] * 6, score=np.ones(6), residual=np.zeros(6), fit=values,
        crop_map=np.zeros((6, 6)), landmarks=np.zeros((6, 136)),
    )  # fmt: skip
    write_table(tmp_path / "fits.parquet", table, fits_metadata(head, "toy", ""))
    some = FitTable.read(tmp_path / "fits.parquet", head, clips=["b", "c", "elsewhere"])
    assert some.table.num_rows == 4
    assert not {"landmarks", "crop_map", "yaw_deg"} & set(some.table.column_names)
    assert some.head_fit([some.row("c", 0), some.row("b", 1)]).camera[:, 0].tolist() == [5, 3]
    with pytest.raises(KeyError, match="no fit for frame 0 of clip a"):
        some.row("a", 0)
    whole = FitTable.read(tmp_path / "fits.parquet", head, beside=ANGLES)
    assert np.array_equal(whole.angles_deg([5]), np.stack([table[name].to_numpy()[[5]] for name in ANGLES], 1))
