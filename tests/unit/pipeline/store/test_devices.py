"""The device that a stage takes, and what keys say of it."""

import subprocess
import sys

import pytest
import torch

from pipeline.store.compute.devices import device_named
from tests.helpers import ROOT

STAGES_WITH_A_NETWORK = {
    "fit": "--head=puppet --clips=c --heads=h --out=o --report=r.json",
    "train": "--row=toy64.puppet.nmfc --clips=c --fits=f --heads=h --out=o",
    "evaluate": "--method=m --out=o",
    "controls": "--out=o",
    "figures": "--out=o",
}


@pytest.fixture(params=[0, 2])
def cuda_devices(request, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)
    return request.param


def test_auto_is_cuda_where_there_is_one(cuda_devices):
    assert device_named("auto") == torch.device("cuda" if cuda_devices else "cpu")
    assert device_named("cpu") == torch.device("cpu")


def test_a_device_that_is_not_there_is_refused(cuda_devices):
    if cuda_devices:
        assert device_named("cuda:1") == torch.device("cuda", 1)
        with pytest.raises(ValueError, match=r"--device cuda:2: this machine has 2 CUDA devices; the last is cuda:1"):
            device_named("cuda:2")
        return
    for name in ("cuda", "cuda:0"):
        with pytest.raises(ValueError, match=rf"--device {name}: torch finds no CUDA device.*choose cpu or auto"):
            device_named(name)


@pytest.mark.parametrize("name", ["tpu", "mps", "meta", "CUDA", "cuda:", "cuda:x", "", "cpu:0"])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(ValueError, match=r"networks run on cpu, cuda or cuda:NUMBER"):
        device_named(name)


@pytest.mark.parametrize("stage", STAGES_WITH_A_NETWORK)
def test_every_stage_with_a_network_refuses_in_one_line(stage, tmp_path):
    command = [sys.executable, "-m", f"stages.{stage}", *STAGES_WITH_A_NETWORK[stage].split()]
    params = f"--params={ROOT / 'params.yaml'}"
    done = subprocess.run([*command, params, "--device", "tpu"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --device tpu: networks run on")
    assert done.stderr.count("\n") == 1
