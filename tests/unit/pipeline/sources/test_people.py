import pytest

from pipeline.sources.people import VOXCELEB1_TEST_PEOPLE, VOXCELEB2_TEST_PEOPLE, official_split
from pipeline.work.ledger import ClipError


def test_the_official_test_people_are_forty_and_a_hundred_and_eighteen():
    assert (len(VOXCELEB1_TEST_PEOPLE), min(VOXCELEB1_TEST_PEOPLE), max(VOXCELEB1_TEST_PEOPLE)) == (
        40,
        "id10270",
        "id10309",
    )
    assert (len(VOXCELEB2_TEST_PEOPLE), min(VOXCELEB2_TEST_PEOPLE), max(VOXCELEB2_TEST_PEOPLE)) == (
        118,
        "id00017",
        "id09017",
    )
    assert sum(int(person[2:]) for person in VOXCELEB2_TEST_PEOPLE) == 498_002


def test_every_other_person_of_voxceleb1_is_trained_on():
    splits = [official_split(f"id{number}") for number in range(10001, 11252)]
    assert (splits.count("train"), splits.count("test")) == (1211, 40)
    assert official_split("id00012") == "train"
    assert official_split("id00017") == "test"


@pytest.mark.parametrize("person", ["id11252", "id00000", "id1027", "id102700", "someone", ""])
def test_a_person_of_neither_set_cannot_be_placed(person):
    with pytest.raises(ClipError, match=f"bad_annotation: {person} is no person of VoxCeleb"):
        official_split(person)
