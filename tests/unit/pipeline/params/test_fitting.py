"""Section `fit`: names that do not exist are refused, those that do are the tracker table's."""

from typing import get_args

import pytest
from pydantic import ValidationError

from pipeline.params.fitting import FitParams, TrackerName
from pipeline.params.tree import load_params
from pipeline.trackers.table import TRACKERS
from tests.helpers import ROOT


def test_parameters_that_do_not_exist_are_refused():
    values = load_params(ROOT / "tests" / "data" / "small.yaml").fit.model_dump()
    with pytest.raises(ValidationError, match="should be 'deca', 'deep3d', 'landmarks', 'mesh' or 'puppet_tracker'"):
        FitParams.model_validate({**values, "tracker": "decca"})
    with pytest.raises(ValidationError, match="second_tracker"):
        FitParams.model_validate({**values, "second_tracker": "decca"})
    with pytest.raises(ValidationError, match="Extra inputs"):
        FitParams.model_validate({**values, "landmark_fit": {**values["landmark_fit"], "sigma": 1}})
    assert set(get_args(TrackerName)) == set(TRACKERS)
