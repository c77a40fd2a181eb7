"""Twenty steps of training end where they ended when the golden file was written."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks.losses import GOLDEN, ROWS, STEPS, agree, difference, trajectory
from tests.helpers import ROOT


@pytest.fixture(scope="module")
def golden():
    return json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("row", ["geom_disp", "neural_codes", "neural_codes/paper", "nmfc/in_full"])
def test_losses_are_the_golden_ones(golden, row):
    assert len(golden[row]) == STEPS
    assert agree(trajectory(row), golden[row])


@pytest.mark.parametrize(("variant", "row"), [("neural_codes/paper", "neural_codes"), ("nmfc/in_full", "nmfc")])
def test_variants_train_differently(golden, variant, row):
    assert not agree(golden[variant], golden[row])


@pytest.mark.slow
@pytest.mark.parametrize("capability", ["default", "avx2"])
def test_losses_hold_with_other_vector_instructions(golden, capability):
    env = {**os.environ, "ATEN_CPU_CAPABILITY": capability}
    command = [sys.executable, "-m", "benchmarks.losses"]
    found = json.loads(subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE).stdout)
    assert set(found) == set(golden) == set(ROWS)
    assert all(agree(found[row], golden[row]) for row in ROWS)


def test_a_changed_loss_is_seen(golden):
    wanted = golden["nmfc"]
    assert agree([dict(row) for row in wanted], wanted)
    for step, factor in ((0, 1.0001), (-1, 1.01)):
        changed = [dict(row) for row in wanted]
        changed[step]["generator"] *= factor
        assert not agree(changed, wanted)
    assert difference(wanted[:-1], wanted) == float("inf")
