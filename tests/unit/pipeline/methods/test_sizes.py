"""Sizes of networks from config.json: all keys are asked for but those that are younger than older files."""

from dataclasses import asdict

import pytest

from model.baselines.fomm3d.network import Fomm3dConfig
from model.baselines.headgan.network import HeadGanConfig
from pipeline.methods.sizes import config_of

YOUNG = [(HeadGanConfig, "smoothing", 2, 1), (Fomm3dConfig, "mask_kernel", 7, 3)]
kinds = pytest.mark.parametrize(("kind", "key", "before", "other"), YOUNG)


@kinds
def test_a_file_that_is_older_than_a_key_has_what_held_then(kind, key, before, other):
    stored = asdict(kind(**{key: other}))
    assert config_of(kind, stored) == kind(**{key: other})
    del stored[key]
    assert config_of(kind, stored) == kind(**{key: before})


@kinds
def test_what_lacks_another_key_is_refused(kind, key, before, other):
    stored = asdict(kind())
    missing = next(name for name in stored if name != key)
    del stored[missing]
    with pytest.raises(ValueError, match=f"lacks {missing}$"):
        config_of(kind, stored)
