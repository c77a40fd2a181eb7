"""Fit tables: numbers of good rows that are not finite never reach a head."""

import re

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from pipeline.store.fits import FitTable, build_fits
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
        message = rf"{re.escape(str(tmp_path))}/fits\.parquet: {field} of row 1 is not finite, though its status is ok"
        with pytest.raises(ValueError, match=message):
            fits.head_fit([2, 1])
    else:
        assert getattr(fits.head_fit([2, 1]), field)[1].isnan().any()
