"""Puppet videos, and all that is made on the way to them, under other vector instructions and numbers of processes."""

import json
import sys

import pytest
from ruamel.yaml import YAML

from tests.e2e.project_copy import run
from tests.helpers import ROOT
from tests.puppet_bytes import ASM, NUMPY_AVX2, NUMPY_AVX512, numpy_features
from tests.small_corpus import digests

pytestmark = pytest.mark.slow


def rendered(**environment):
    """What a fresh process says that it made, under these variables."""
    said = run(sys.executable, "-m", "tests.puppet_bytes", cwd=ROOT, OMP_NUM_THREADS="1", **environment)
    return json.loads(said[said.index("{") : said.rindex("}") + 1])


@pytest.fixture(scope="module")
def plain():
    """Everything that this processor has."""
    return rendered()


def test_x264_encodes_puppets_the_same_with_any_instructions(plain):
    for steps in plain["hashes"].values():
        assert {steps[f"video{asm}"] for asm in ASM} == {steps["video.mp4"]}


@pytest.mark.parametrize("capability", ["default", "avx2", "avx512"])
def test_torch_without_some_instructions_makes_the_same_bytes(plain, capability):
    found = rendered(ATEN_CPU_CAPABILITY=capability)
    if found["force"]["torch"].lower() != capability:
        pytest.skip(f"torch has {found['force']['torch']} on this processor, not {capability}")
    assert found["hashes"] == plain["hashes"]


@pytest.mark.parametrize(
    ("without", "deciding"),
    [(NUMPY_AVX512, NUMPY_AVX512), (NUMPY_AVX512 + NUMPY_AVX2, NUMPY_AVX2)],
    ids=["no AVX512", "no AVX2 either"],
)
def test_numpy_without_some_instructions_makes_the_same_bytes(plain, without, deciding):
    if not numpy_features(deciding):
        pytest.skip(f"numpy uses none of {', '.join(deciding)} on this processor")
    taken = numpy_features(without)
    found = rendered(NPY_DISABLE_CPU_FEATURES=" ".join(taken))
    assert not set(taken) & set(found["force"]["numpy"])
    assert found["hashes"] == plain["hashes"]


def test_any_number_of_processes_makes_the_same_corpus(tmp_path):
    yaml = YAML()
    everything = yaml.load((ROOT / "tests" / "data" / "small.yaml").read_text())
    puppets = everything["puppets"]
    puppets.update(frames=6, texture_size=128, frame_sizes=[[240, 320]])
    puppets["corpora"]["puppets1"].update(train_people=3, test_people=1)
    with (tmp_path / "params.yaml").open("w") as stream:
        yaml.dump(everything, stream)
    made = []
    for workers in (1, 2, 4):
        root = tmp_path / str(workers)
        out = ("--corpus", "puppets1", "--out", f"{root}/out", "--params", f"{tmp_path}/params.yaml")
        run(
            sys.executable, "-m", "stages.videos", *out, "--workers", str(workers), cwd=ROOT, DVC_ROOT=f"{root}/scratch"
        )
        made.append(digests(root / "out"))
    assert len(made[0]) == 4 * 3 + 3
    assert made[0] == made[1] == made[2]
