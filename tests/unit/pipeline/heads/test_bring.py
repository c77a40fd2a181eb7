"""Heads are brought into one form, and a wrong one is named."""

from dataclasses import replace

import numpy as np
import pytest

from model.heads.arrays import save_head
from model.heads.head import load_head
from pipeline.heads.bring import write_heads
from tests.asset_folder import project_with_assets
from tests.helpers import random_head


def test_heads_are_brought_into_one_form(tmp_path, monkeypatch):
    project_with_assets(monkeypatch, tmp_path)
    arrays = random_head(seed=3)
    with pytest.raises(FileNotFoundError, match=r"no folder of heads at .*data.heads"):
        write_heads(["puppet"], tmp_path / "nothing", tmp_path / "out")
    save_head(tmp_path / "in" / "puppet.npz", replace(arrays, name="puppet"))
    save_head(tmp_path / "in" / "puppet_face.npz", arrays)
    with pytest.raises(ValueError, match=r"unknown head 'pupet'.*did you mean 'puppet'"):
        write_heads(["pupet"], tmp_path / "in", tmp_path / "out")
    with pytest.raises(ValueError, match="puppet_face.npz holds head 'bumpy_sphere', expected 'puppet_face'"):
        write_heads(["puppet_face"], tmp_path / "in", tmp_path / "out")
    with pytest.raises(FileNotFoundError, match=r"head 'ict': neither .*ict_facekit.npz nor .*pwm assets import"):
        write_heads(["ict"], tmp_path / "in", tmp_path / "out")
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out" / "stale.npz").touch()
    write_heads(["puppet"], tmp_path / "in", tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["puppet.npz"]
    np.testing.assert_array_equal(load_head(tmp_path / "out" / "puppet.npz").arrays.template, arrays.template)
