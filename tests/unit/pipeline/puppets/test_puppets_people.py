"""Puppets are drawn from seeds that corpora and training never share."""

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.params.puppets import CorpusParams
from pipeline.puppets.clip import plan_corpus
from pipeline.puppets.people import PALETTES, TRAINING_SEEDS, VALIDATION_SEEDS, make_identity, make_look
from tests.small_puppets import params


def test_people_follow_their_seed():
    one, again, other = make_identity(7, 30), make_identity(7, 30), make_identity(8, 30)
    assert np.array_equal(one.shape, again.shape)
    assert np.abs(one.shape - other.shape).mean() > 0.3
    assert np.abs(one.shape).max() <= 2.2
    assert one.shape.shape == (30,)


def test_a_look_changes_and_the_identity_does_not():
    identity = make_identity(7, 30)
    looks = [make_look(seed, identity, "any") for seed in range(12)]
    assert len({look.style for look in looks}) > 3
    assert len({look.backdrop for look in looks}) > 2
    assert np.std([look.light_direction for look in looks], axis=0).max() > 0.2
    assert all(np.isclose(np.linalg.norm(look.light_direction), 1) for look in looks)


def test_palettes_are_different():
    identity = make_identity(7, 30)
    day = {make_look(seed, identity, "day").backdrop for seed in range(30)}
    evening = {make_look(seed, identity, "evening").backdrop for seed in range(30)}
    assert day <= set(PALETTES["day"].backdrops)
    assert not evening <= day


def test_unknown_palette_is_named():
    with pytest.raises(ValueError, match="noon"):
        make_look(1, make_identity(1, 3), "noon")


def test_seed_ranges_are_disjoint():
    everything = params()
    seeds = [plan.seed for corpus in everything.corpora.values() for plan in plan_corpus(everything, corpus)]
    assert len(set(seeds)) == 9
    last = params(seed=999)
    seeds += [plan.seed for corpus in last.corpora.values() for plan in plan_corpus(last, corpus)]
    assert max(seeds) < TRAINING_SEEDS.start
    assert TRAINING_SEEDS.stop <= VALIDATION_SEEDS.start


def test_plans_divide_people_and_keep_durations():
    everything = params()
    plans = plan_corpus(everything, everything.corpora["one"])
    train, test = ({p.person_id for p in plans if p.split == split} for split in ("train", "test"))
    assert train == {"id10001", "id10002", "id10003"}
    assert test == {"id10270", "id10271"}
    assert {(p.fps, p.frames) for p in plans} == {(25, 72), (30, 86)}
    assert all(len(p.video) == 11 for p in plans)
    assert len({p.video for p in plans}) == 5


def test_misspelt_keys_are_refused():
    with pytest.raises(ValidationError, match="yaw"):
        params(yaw=3)
    with pytest.raises(ValidationError):
        CorpusParams(**{**params().corpora["one"].model_dump(), "annotation": "voxceleb3"})
