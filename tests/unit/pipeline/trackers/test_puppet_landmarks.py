"""The landmarks that the shipped puppet tracker leaves in the fits are true: they drive systems that know no head."""

import numpy as np
import pytest
import torch

from model.frame.coords import ndc_to_px
from pipeline.params.tree import load_params
from pipeline.puppets.render import IDENTITY_MAP, Camera
from pipeline.trackers.puppet import PuppetNetTracker
from tests.puppet_studio import codes, landmarks_px, person, studio

SIZE = (128, 128)


@pytest.mark.parametrize("pose", [{}, {"yaw_deg": 25.0}, {"jaw_deg": 12.0}, {"scale": 1 / 20}])
def test_landmarks_are_where_the_puppet_has_them(pose: dict[str, float]):
    actor = studio().dress(person())
    posed = codes(actor.person, **pose)
    film = Camera(studio()).film(actor, *posed.values(), SIZE, supersample=2)
    tracker = PuppetNetTracker.open(studio().head, load_params().fit_of("puppet"), {}, torch.device("cpu"))
    rows = tracker.fit_images(np.stack([picture.image for picture in film]))
    found = ndc_to_px(torch.from_numpy(rows.landmarks[0]), SIZE).numpy()
    off = np.linalg.norm(found - landmarks_px(posed, IDENTITY_MAP, SIZE), axis=-1)
    assert off.mean() < 2.5
    assert off[17:].max() < 6
