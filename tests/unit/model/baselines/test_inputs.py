"""What a published network refuses, and by which name."""

import pytest
import torch

from model.baselines.shared.inputs import check_inputs

SHAPES = {"mask": (1, 8, 8)}


def test_what_fits_passes_and_other_signals_are_not_looked_at():
    check_inputs(torch.zeros(2, 3, 8, 8), 8, {"mask": torch.zeros(2, 1, 8, 8), "other": torch.zeros(7)}, SHAPES)


@pytest.mark.parametrize(("source", "mask", "message"), [
    ((2, 3, 8), (2, 1, 8, 8), r"expected images \(B, 3, H, W\)"),
    ((2, 3, 8, 9), (2, 1, 8, 8), r"source: expected images of 8 px, got \(8, 9\)"),
    ((2, 3, 8, 8), (1, 1, 8, 8), r"signal `mask`: expected shape \(2, 1, 8, 8\), got \(1, 1, 8, 8\)"),
    ((2, 3, 8, 8), (2, 8, 8), r"signal `mask`: expected shape"),
])  # fmt: skip
def test_what_does_not_fit_is_named(source, mask, message):
    with pytest.raises(ValueError, match=message):
        check_inputs(torch.zeros(source), 8, {"mask": torch.zeros(mask)}, SHAPES)


def test_an_absent_signal_is_named_beside_those_given():
    with pytest.raises(ValueError, match=r"no signal `mask`: given are \['driving'\]"):
        check_inputs(torch.zeros(2, 3, 8, 8), 8, {"driving": torch.zeros(2, 3, 8, 8)}, SHAPES)
