import json

import pytest

from pipeline.cropping.protocol import FOMM_TUBE, crop_facts, protocol_of
from tests.videos import CROP, released, voxceleb1

FOMM = CROP.model_copy(update={"size_px": 256, "tube": FOMM_TUBE})


def test_a_protocol_is_named_by_rule_resize_and_content():
    assert protocol_of(voxceleb1(), FOMM).id == "fomm_tube+triangle_antialias@64dd1d80"
    assert protocol_of(released(), FOMM).id.startswith("vox2_release+triangle_antialias@")
    slow = FOMM.model_copy(update={"resize": "gaussian_antialias"})
    assert protocol_of(voxceleb1(), slow).id.startswith("fomm_tube+gaussian_antialias@")


def test_other_numbers_lose_fomms_name():
    assert protocol_of(voxceleb1(), CROP).name == "tube"


@pytest.mark.parametrize(
    "change",
    [
        {"size_px": 128},
        {"resize": "gaussian_antialias"},
        {"tube": FOMM_TUBE.model_copy(update={"increase": 0.2})},
        {"tube": FOMM_TUBE.model_copy(update={"pixels": "square"})},
    ],
)
def test_whatever_changes_pixels_changes_the_hash(change):
    ids = {protocol_of(voxceleb1(), FOMM.model_copy(update=update)).id[-8:] for update in ({}, change)}
    assert len(ids) == 2


def test_the_tube_says_nothing_about_clips_that_have_none():
    other = FOMM.model_copy(update={"tube": CROP.tube})
    assert protocol_of(released(), FOMM).id == protocol_of(released(), other).id


def test_encoding_and_limits_are_no_part_of_it():
    other = FOMM.model_copy(update={"jpeg_quality": 50, "shard_mb": 1, "max_fail_rate": 0.5})
    assert protocol_of(voxceleb1(), FOMM).id == protocol_of(voxceleb1(), other).id


def test_an_index_names_protocol_and_split_of_each_data_set():
    facts = crop_facts([voxceleb1(split="official"), released()], FOMM)
    assert json.loads(facts["split"]) == {"VoxCeleb1": "official", "VoxCeleb2": "all tested"}
    assert json.loads(facts["protocol"])["VoxCeleb1"] == protocol_of(voxceleb1(), FOMM).id
