"""Pairs go out as plain files, frames come back as a row; what is wrong with them is said by name."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from pipeline.bench.pair_frames import load_pair_frames
from pipeline.bench.predictions import PredictionsError, SavedFrames
from pipeline.own.frames import OwnRow, own_dir, own_sha256, scored_rows
from pipeline.params.tree import load_params
from pipeline.store.fits import build_fits, fits_metadata
from pipeline.store.schema import write_table
from pipeline.tools.bring_frames import bring, forget_row
from pipeline.tools.export_pairs import export_pairs, window_frames
from tests.benchmark_world import DATASETS, HEIGHT, PEOPLE, WIDTH, make_clips, make_pairs
from tests.helpers import ROOT, random_head
from tests.toy_networks import fit_of

FRAMES = 4  # of every clip of the world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    make_clips(folder / "clips")
    make_pairs(folder / "pairs.parquet")
    head = HeadModel(random_head())
    clips = [f"{dataset}{number}#v#0#4" for dataset in DATASETS for number in range(PEOPLE)]
    count = len(clips) * FRAMES
    rng = np.random.default_rng(1)
    fits = build_fits(
        head,
        clip=np.repeat(clips, FRAMES).tolist(),
        frame=list(range(FRAMES)) * len(clips),
        status=["ok"] * (count - 1) + ["low_score"],
        score=np.ones(count),
        residual=np.zeros(count),
        fit=HeadFit.cat([fit_of(head, count=FRAMES, seed=seed) for seed in range(len(clips))]),
        crop_map=np.tile([1, 0, 0, 0, 1, 0], (count, 1)).astype(np.float32),
        landmarks=rng.random((count, 136), np.float32),
    )
    write_table(folder / "eval.parquet", fits, fits_metadata(head, "toy", "0" * 64))
    return folder


@pytest.fixture
def params(tmp_path, monkeypatch):
    monkeypatch.setenv("PWM_ASSETS", str(tmp_path / "assets"))
    file = tmp_path / "params.yaml"
    file.write_text((ROOT / "params.yaml").read_text())
    return file


@pytest.fixture
def frames(world, tmp_path):
    pairs, _ = load_pair_frames(world / "pairs.parquet", world / "clips")
    folder = tmp_path / "frames"
    folder.mkdir()
    for name, frame in zip(pairs.pair_id, pairs.driving_u8[:], strict=True):
        Image.fromarray(frame).save(folder / f"{name}.png")
    return folder


def test_the_files_of_a_pair_are_its_frames_and_fits(world, tmp_path):
    out = tmp_path / "out"
    count = export_pairs(out, world / "pairs.parquet", world / "clips", [world / "eval.parquet"], 2)
    pairs, _ = load_pair_frames(world / "pairs.parquet", world / "clips")
    rows = list(csv.DictReader((out / "pairs.csv").open()))
    assert count == len(rows) == len(pairs)
    arrays = np.load(out / "fits-bumpy_sphere.npz")
    for number in (0, 17, count - 1):
        name = rows[number]["pair_id"]
        assert name == pairs.pair_id[number] == arrays["pair_id"][number]
        for side, wanted in (("source", pairs.source_u8[number]), ("driving", pairs.driving_u8[number])):
            image = np.asarray(Image.open(out / side / f"{name}.png"))
            assert image.shape == (HEIGHT, WIDTH, 3)
            assert np.array_equal(image, wanted)
        at = int(rows[number]["driving_frame"])
        assert arrays["driving_frames"][number].tolist() == [min(max(at + i, 0), FRAMES - 1) for i in range(-2, 3)]
        window = sorted(path.name for path in (out / "window" / name).iterdir())
        assert window == ["+00.png", "+01.png", "+02.png", "-01.png", "-02.png"]
        assert (out / "window" / name / "+00.png").read_bytes() == (out / "driving" / f"{name}.png").read_bytes()
    assert arrays["source_landmarks"].shape == (count, 136)
    assert arrays["driving_shape"].shape[:2] == (count, 5)
    assert np.array_equal(arrays["driving_landmarks"][0, 2], arrays["source_landmarks"][0]) == (
        rows[0]["source_frame"] == rows[0]["driving_frame"]
    )
    assert f"{WIDTH}x{HEIGHT} px" in (out / "README.md").read_text()


def test_a_window_ends_where_the_clip_does():
    assert window_frames(1, 3, 4).tolist() == [0, 0, 0, 1, 2, 3, 3]
    assert window_frames(2, 0, 4).tolist() == [2]


def test_an_export_is_never_mixed_with_another(world, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError, match="name a new folder"):
        export_pairs(tmp_path / "out", world / "pairs.parquet", world / "clips", [], 0)
    with pytest.raises(ValueError, match="--window -1"):
        export_pairs(tmp_path / "new", world / "pairs.parquet", world / "clips", [], -1)


def test_frames_are_packed_and_named_in_the_parameters(world, frames, params):
    before = params.read_text()
    (frames / "method.yaml").write_text("label: My method\nlink: https://example.org\ntrained_on_data: true\n")
    row = bring(frames, "mine", world / "pairs.parquet", world / "clips", params)
    assert (row.label, row.link, row.trained_on_data) == ("My method", "https://example.org", True)
    assert load_params(params).bench.own == {"mine": own_sha256("mine")}
    changed = [line for line in params.read_text().splitlines() if line not in before.splitlines()]
    assert len(changed) == 2
    assert "pwm score" in changed[0]  # comments stay
    assert changed[1] == f"    mine: {own_sha256('mine')}"
    pairs, _ = load_pair_frames(world / "pairs.parquet", world / "clips")
    saved = SavedFrames(own_dir("mine") / "predictions.arrow", pairs.pair_id.tolist(), pairs.size_hw)
    assert np.array_equal(saved[np.arange(5)], pairs.driving_u8[:5])
    bring(frames, "second-one", world / "pairs.parquet", world / "clips", params)
    assert list(load_params(params).bench.own) == ["mine", "second-one"]
    forget_row("mine", params)
    forget_row("second-one", params)
    assert params.read_text() == before
    assert own_sha256("mine") is None


def test_another_label_or_another_pixel_is_another_row(world, frames, params):
    hashes = set()
    for text in ("label: a\n", "label: b\n", ""):
        (frames / "method.yaml").write_text(text) if text else (frames / "method.yaml").unlink()
        bring(frames, "mine", world / "pairs.parquet", world / "clips", params)
        hashes.add(own_sha256("mine"))
    image = next(frames.glob("*.png"))
    Image.fromarray(np.asarray(Image.open(image)) ^ 1).save(image)
    bring(frames, "mine", world / "pairs.parquet", world / "clips", params)
    assert len({*hashes, own_sha256("mine")}) == 4


@pytest.mark.parametrize("name", ["", "Mine", "a.b", "../x", "copy_source", "x" * 41])
def test_a_name_that_is_none_is_refused(name, world, frames, params):
    with pytest.raises(ValueError, match="small letters"):
        bring(frames, name, world / "pairs.parquet", world / "clips", params)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("label: [", "is not YAML"),
        ("label: ''\n", r"label: String should have at least 1"),
        ("label: a|b\n", "label"),
        ("name: x\n", r"name: .*known are label, link, trained_on_data"),
        ("just text\n", "method.yaml: it"),
    ],
)
def test_a_method_file_that_says_something_else_is_refused(text, said, world, frames, params):
    (frames / "method.yaml").write_text(text)
    before = params.read_text()
    with pytest.raises(ValueError, match=said):
        bring(frames, "mine", world / "pairs.parquet", world / "clips", params)
    assert params.read_text() == before


def test_missing_frames_bring_nothing(world, frames, params):
    before = params.read_text()
    next(frames.glob("*.png")).unlink()
    with pytest.raises(PredictionsError, match="1 have no image"):
        bring(frames, "mine", world / "pairs.parquet", world / "clips", params)
    assert params.read_text() == before
    assert own_sha256("mine") is None
    with pytest.raises(ValueError, match=r"bench.own has no row 'mine'; it has none"):
        forget_row("mine", params)


def test_what_the_stage_wrote_is_read_in_its_order(tmp_path: Path):
    assert scored_rows(tmp_path) == {}
    same = {"link": "", "trained_on_data": None, "pairs_sha256": "1"}
    rows = {"b": {**same, "label": "B", "absent": ""}, "a": {**same, "label": "A", "absent": "gone"}}
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "rows.json").write_text(json.dumps(rows))
    assert scored_rows(tmp_path)["a"] == OwnRow("A", "", None, "1", "gone")
    assert sorted(scored_rows(tmp_path)) == ["a", "b"]
