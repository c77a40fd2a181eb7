"""Results as pandas frames: every file that a person reads, and what a wrong one says."""

import doctest
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from pipeline.reading import read_fits, read_ledger, read_pair_scores, read_pairs, read_scores
from tests.helpers import ROOT
from tests.result_tables import fits_table, write_results


@pytest.fixture
def results(tmp_path):
    write_results(tmp_path)
    return tmp_path


def test_the_examples_of_the_page_hold(results, monkeypatch):
    monkeypatch.chdir(results)
    page = ROOT / "docs" / "reading.md"
    found = doctest.testfile(str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 10
    assert found.failed == 0
    assert "docs/reading.md" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", ["puppets", "realvox"])
def test_committed_scores_are_read_whole(name):
    scores = read_scores(ROOT / "reports" / name)
    lines = (ROOT / "reports" / name / "tables" / "scores.csv").read_text().splitlines()
    assert len(scores) == len(lines) - 1
    stored = lines[0].split(",")
    later = ["n_seeds", "seed_sd", "n_left_out"]  # reports of earlier versions lack them
    assert list(scores.columns) == [*stored, *(name for name in later if name not in stored)]
    dashes = scores.value.isna()
    assert (scores.reason[~dashes] == "").all()
    assert (scores.reason[dashes] != "").all()
    assert scores[["value", "ci_low", "ci_high"]].dtypes.eq(float).all()
    assert scores[["n", "n_failed"]].dtypes.eq(int).all()


def test_one_method_or_all_of_them(results):
    every = read_pair_scores(results / "data" / "results")
    one = read_pair_scores(results / "data" / "results" / "controls")
    assert set(every.method) == {"toy64.puppet.nmfc", "copy_source"}
    assert set(one.method) == {"copy_source"}
    assert one.value.tolist() == [16.0, 24.0, 21.0]
    assert isinstance(every.metric.dtype, pd.CategoricalDtype)


def test_pairs_and_ledgers(results):
    pairs = read_pairs(results / "data" / "pairs.parquet")
    assert pairs.pair_id.tolist() == ["pair0", "pair1", "pair2"]
    assert pairs.driving_frame.tolist() == [5, 5, 5]
    assert read_ledger(results / "data" / "clips")["clip"].tolist() == ["c", "d", "a", "b"]
    assert read_ledger(results / "data" / "clips" / "train")["clip"].tolist() == ["a", "b"]


@pytest.mark.parametrize("vectors", ["columns", "arrays"])
def test_fits_keep_every_number(results, vectors):
    path = results / "data" / "fits" / "puppet" / "eval.parquet"
    frame, table = read_fits(path, vectors=vectors), fits_table()
    for name in ("shape", "expression", "pose", "camera", "tracker_map", "crop_map", "landmarks"):
        wanted = np.array(table.column(name).to_pylist(), np.float32)
        if vectors == "columns":
            found = frame[[f"{name}_{number}" for number in range(wanted.shape[1])]].to_numpy()
        else:
            found = np.stack(list(frame[name]))
        np.testing.assert_array_equal(found, wanted)
        assert found.dtype == np.float32
    assert frame.status.tolist() == ["ok", "ok", "no_landmarks"]
    chosen = read_fits(path, columns=["yaw_deg", "clip"], vectors=vectors)
    assert list(chosen.columns) == ["yaw_deg", "clip"]
    np.testing.assert_array_equal(chosen.yaw_deg, np.float32([-5.0, 10.0, np.nan]))


def test_what_is_not_there_is_named(results):
    for read, place, remedy in (
        (read_scores, "reports/other", "dvc repro report"),
        (read_pair_scores, "data/clips", "stages `evaluate` and `controls`"),
        (read_pairs, "data/none.parquet", "run the stage"),
        (read_ledger, "data/results", "stage `crop`"),
        (read_fits, "data/none.parquet", "run the stage"),
    ):
        with pytest.raises(FileNotFoundError, match=rf"{place}.*{remedy}"):
            read(results / place)


def test_another_file_is_refused(results):
    table, scores = results / "data" / "pairs.parquet", results / "reports/puppets/tables/scores.csv"
    with pytest.raises(ValueError, match="lacks the columns expressions"):
        read_fits(results / "data/fits/puppet/eval.parquet", columns=["expressions"])
    with pytest.raises(ValueError, match="vectors is 'rows': choose 'columns' or 'arrays'"):
        read_fits(results / "data/fits/puppet/eval.parquet", vectors="rows")
    with pytest.raises(ValueError, match=r"eval.parquet lacks the columns pair_id"):
        read_pairs(results / "data/fits/puppet/eval.parquet")
    (results / "data/results/controls/scores.parquet").write_bytes(table.read_bytes())
    with pytest.raises(ValueError, match=r"controls/scores.parquet lacks the columns method, metric, value"):
        read_pair_scores(results / "data/results")
    scores.write_text(scores.read_text().replace("20.25", "much"))
    with pytest.raises(ValueError, match=r"scores.csv holds a number that is none.*much"):
        read_scores(results / "reports/puppets")
    scores.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"scores.csv lacks the columns dataset.*stage `report`"):
        read_scores(scores)


def test_importing_it_imports_no_pandas():
    code = "import sys, pipeline.reading; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_seeds_of_a_row_are_told_apart(results):
    folder = results / "data" / "results" / "toy64.puppet.nmfc"
    for seed in (8, 10):
        (folder / "seeds" / str(seed)).mkdir(parents=True)
        shutil.copyfile(folder / "scores.parquet", folder / "seeds" / str(seed) / "scores.parquet")
    for place in (results / "data" / "results", folder):
        found = read_pair_scores(place).query("method == 'toy64.puppet.nmfc'")
        assert found.seed_number.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert set(read_pair_scores(results / "data" / "results" / "controls").seed_number) == {0}


def test_a_report_of_an_earlier_version_has_one_seed(results):
    file = results / "reports/puppets/tables/scores.csv"
    now = read_scores(file)
    lines = [line.split(",") for line in file.read_text().splitlines()]
    file.write_text("".join(",".join([*line[:9], *line[11:]]) + "\n" for line in lines))
    before = read_scores(file)
    pd.testing.assert_frame_equal(before[now.columns], now)
