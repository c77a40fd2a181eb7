"""The stream of random crops shows what its truth says."""

import numpy as np
import pytest

from pipeline.puppets.appearance import PART
from pipeline.puppets.motion import MotionLimits
from pipeline.puppets.sampling import CropJitter, random_crops
from tests.puppet_studio import centre_of, studio

SIZE = (64, 80)
JITTER = CropJitter(scale=(1.2, 1.5), shift=0.05, squeeze=0.1)


@pytest.fixture(scope="module")
def crops():
    limits = MotionLimits(35.0, 15.0, 10.0)
    return random_crops(studio(), 4, 6, SIZE, jitter=JITTER, limits=limits, looks_per_person=2, shots_per_look=2)


def test_shapes_and_people(crops):
    assert crops.images.shape == (6, *SIZE, 3)
    assert crops.labels.shape == (6, *SIZE)
    assert crops.person.tolist() == [0, 0, 0, 0, 1, 1]
    assert crops.look.tolist() == [0, 0, 1, 1, 2, 2]
    shape = crops.fit.shape.numpy()
    assert (shape[0] == shape[3]).all()
    assert np.abs(shape[0] - shape[4]).mean() > 0.3


def test_landmarks_follow_from_the_fit_and_lie_on_the_mouth(crops):
    placed = studio().head.place_landmarks(crops.fit).numpy()
    assert np.allclose(placed, crops.landmarks, atol=1e-5)
    for label, marks in zip(crops.labels, (crops.landmarks + 1) / 2 * np.array(SIZE[::-1]), strict=True):
        mouth = np.isin(label, (PART["lips"], PART["mouth"]))
        middle = 0.5 * (marks[48:60].min(0) + marks[48:60].max(0))
        assert np.allclose(centre_of(mouth, 1), middle, atol=3.0)


def test_seeds_repeat(crops):
    again = random_crops(
        studio(), 4, 2, SIZE, jitter=JITTER, limits=MotionLimits(35.0, 15.0, 10.0), looks_per_person=2, shots_per_look=2
    )
    assert np.array_equal(again.images, crops.images[:2])
    assert not np.array_equal(crops.images[0], crops.images[1])
