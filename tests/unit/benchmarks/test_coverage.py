"""What the intervals cover, in short: the simulations behind docs/intervals.md."""

import json
import sys

import numpy as np
import pytest

from benchmarks.coverage import (
    EFFECTS,
    END,
    PAGE,
    START,
    design,
    fid_table,
    markdown,
    normal_table,
    real_table,
    seeds_table,
    take,
)
from pipeline.report.intervals.coverage import covered, least, resampled_coverage

# Columns of real people's effects whose intervals cover less than is asked: CSIM of same identity, where one person of
# 24 lies far below the others. docs/intervals.md and the footer of a table that has such a column say so.
TOO_SKEWED = {("same", "csim[puppet_judge]")}


@pytest.fixture(scope="module")
def tables():
    effects = json.loads(EFFECTS.read_text())
    return normal_table(3000), real_table(effects, 2000), fid_table(150, people=(8, 12)), seeds_table(3000)


def test_the_intervals_cover(tables, capsys):
    with capsys.disabled():
        sys.stdout.write("\n" + markdown(*tables))
    normal, real, fid, _ = tables
    assert {people for *_, people, _ in normal} == {8, 12, 40}
    assert not [line for line in normal if not 0.93 <= line[-1] <= 0.98]
    asked = [line for line in real if line[:2] not in TOO_SKEWED]
    assert {people for *_, people, _ in asked} == {8, 20}
    assert not [line for line in asked if line[-1] < least(line[-2])]
    assert not [line for line in fid if line[-1] < 0.9]


def test_intervals_of_several_seeds_cover_the_expectation_over_trainings(tables):
    """3 and more seeds: 93 to 98%. Two know their own variance badly: never below 93%, and often wider than need be."""
    seeds = tables[-1]
    assert {(count, people) for *_, count, people, _ in seeds} >= {(n, p) for n in (2, 3, 5) for p in (8, 12, 40)}
    assert not [line for line in seeds if line[3] >= 3 and not 0.93 <= line[-1] <= 0.98]
    assert not [line for line in seeds if line[3] == 2 and line[-1] < 0.93]


def test_the_interval_of_one_seed_does_not_cover_them(tables):
    """That is what the footer says of it: from a third of the half interval on it is seen, at twice it is hopeless."""
    of_one = {(kind, share): line for (*line,) in tables[-1] for kind, share, _, count, *_ in [line] if count == 1}
    for (_, share), line in of_one.items():
        assert line[-1] < {0.3: 0.95, 1.0: 0.75, 2.0: 0.5}[share], line


def test_sources_alone_as_the_unit_would_not_do():
    """The design is one in which it matters: with people counted in one role, coverage falls far below."""
    clusters, rng = design(12, "cross"), np.random.default_rng(0)
    a, b = rng.normal(size=(2, 12, 1000))
    values = 0.3 * a[clusters.source] + b[clusters.driver] + 0.5 * rng.normal(size=(264, 1000))
    means = np.stack([values[clusters.source == person].mean(0) for person in range(12)])
    half = 2.2 * means.std(0, ddof=1) / np.sqrt(12)
    assert (np.abs(values.mean(0)) < half).mean() < 0.6
    assert covered(values, 0.0, clusters) > 0.93


def test_one_person_far_from_the_others_is_found_out():
    effects = np.zeros((24, 2))
    effects[0, 0] = 1.0
    effects[:, 0] += np.random.default_rng(1).normal(0, 0.01, 24)
    assert resampled_coverage(design(8, "same"), effects, np.zeros(1), 500) < 0.6


def test_effects_are_taken_from_results(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"pairs\.parquet"):
        take(tmp_path)


def test_the_page_has_every_line():
    made = PAGE.read_text().split(START)[1].split(END)[0]
    assert [part.count("\n| ") - 1 for part in made.split("\n\n|")[1:]] == [21, 14, 2, 36]
