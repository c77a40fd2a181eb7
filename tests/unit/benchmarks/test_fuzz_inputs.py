"""The fuzz of what is brought in: it takes every case, and it would notice a wrong one."""

import io

import numpy as np
from PIL import Image

from benchmarks import fuzz_folders as folders
from benchmarks import fuzz_predictions as predictions
from benchmarks import fuzz_weights as weights
from pipeline.tools import import_frames


def silent(verdicts):
    return [verdict.silent for verdict in verdicts if verdict.silent]


def test_predictions_of_every_form_are_right_or_refused_by_name(tmp_path):
    verdicts = list(predictions.fuzz_predictions(tmp_path, 11, rounds=1))
    assert len(verdicts) == len(predictions.FORMS) + len(predictions.FOLDERS)
    assert silent(verdicts) == []


def test_a_reader_that_drops_what_it_does_not_know_is_noticed(tmp_path, monkeypatch):
    """As pictures were read before: 16 bits cut to 8, alpha and EXIF orientation dropped."""

    def drops(data):
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    monkeypatch.setattr(import_frames, "read_image", drops)
    found = {v.fault for v in predictions.fuzz_predictions(tmp_path, 11, rounds=1) if v.silent}
    assert found >= {
        "16-bit grey",
        "alpha, see-through",
        "EXIF orientation, PNG",
        "animated PNG",
        "JPEG, CMYK",
        "empty",
    }
    assert "PNG" not in found


def few(monkeypatch, kept):
    monkeypatch.setattr(folders, "cases", lambda every=folders.cases: [case for case in every() if kept(case)])


def test_data_folders_as_users_have_them_come_out_whole(tmp_path, monkeypatch):
    few(monkeypatch, lambda case: case.fault.split(": ")[0] in ("csv", "landmark table", "foreign files"))
    verdicts = list(folders.fuzz_folders(tmp_path, 0))
    assert {verdict.outcome for verdict in verdicts} == {"right", "refused"}
    assert silent(verdicts) == []


def test_a_foreign_file_that_counts_is_noticed(tmp_path, monkeypatch):
    few(monkeypatch, lambda case: case.fault in ("whole", "foreign files") and case.kind == "crops")
    monkeypatch.setattr("pipeline.sources.crops.own_entries", lambda folder: sorted(folder.iterdir()))
    assert [verdict.fault for verdict in folders.fuzz_folders(tmp_path, 0) if verdict.silent] == ["foreign files"]


def test_weights_that_are_something_else_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "WEIGHTS", {"lpips_alex", "arcface"})
    verdicts = list(weights.fuzz_weights(tmp_path, 11))
    assert len(verdicts) > 30
    assert silent(verdicts) == []


def test_weights_that_are_not_looked_at_are_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "WEIGHTS", {"lpips_alex"})
    monkeypatch.setattr("pipeline.tools.assets.check_weights", lambda *args: None)
    found = {verdict.fault for verdict in weights.fuzz_weights(tmp_path, 11) if verdict.silent}
    assert found >= {"HTML page", "git-lfs pointer", "empty", "prefix module.", "weights of another"}
