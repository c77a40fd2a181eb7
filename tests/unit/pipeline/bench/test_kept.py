"""Generated frames between runs: taken over when nothing they depend on changed, made anew when anything did."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from model.frame.coords import frames_to_tensor
from pipeline.bench.generate import generate
from pipeline.bench.kept import generation_key, keep_generated
from pipeline.bench.pair_frames import load_pair_frames
from pipeline.bench.predictions import SavedFrames, write_predictions
from pipeline.methods.registry import adapter_module
from pipeline.metrics.images import Images
from pipeline.store.clips import ClipStore, ClipWriter, encode_png
from pipeline.store.closure import ROOT, closure
from pipeline.store.schema import INDEX, read_table, write_table
from pipeline.store.scratch_root import scratch_root
from tests.benchmark_world import make_clips, make_pairs

PEOPLE = 50  # 600 pairs: two full record batches and a rest
BATCH = 16


class Mirror:
    """A method that turns the source's sides round; it stops when it has worked for long enough."""

    device = torch.device("cpu")

    def __init__(self, lasts: int = 1000) -> None:
        self.lasts, self.seen = lasts, []

    def animate(self, pairs, rows):
        self.seen.append(len(pairs.pair_id[rows]))
        if len(self.seen) > self.lasts:
            raise KeyboardInterrupt
        frames = np.ascontiguousarray(pairs.source_u8[rows][:, :, ::-1])
        return SimpleNamespace(image=frames_to_tensor(torch.from_numpy(frames)))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    make_clips(folder / "clips", PEOPLE)
    make_pairs(folder / "pairs.parquet", PEOPLE)
    return folder


@pytest.fixture(scope="module")
def loaded(world):
    return load_pair_frames(world / "pairs.parquet", world / "clips")


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return scratch_root()


def test_pieces_behind_each_other_are_the_bytes_of_one_file_and_are_made_once(loaded, tmp_path):
    pairs, _ = loaded
    assert len(pairs) == 600
    write_predictions(tmp_path / "whole.arrow", pairs.pair_id.tolist(), generate(Mirror(), pairs, BATCH))
    out = tmp_path / "results" / "predictions.arrow"
    assert keep_generated("a" * 20, pairs, Mirror, BATCH, out, piece=1) == 600
    assert out.read_bytes() == (tmp_path / "whole.arrow").read_bytes()
    saved = SavedFrames(out, pairs.pair_id.tolist(), pairs.size_hw)
    np.testing.assert_array_equal(saved[np.arange(600)], pairs.source_u8[:][:, :, ::-1])
    out.unlink()
    assert keep_generated("a" * 20, pairs, lambda: pytest.fail("opened"), BATCH, out, piece=1) == 0
    assert out.read_bytes() == (tmp_path / "whole.arrow").read_bytes()
    assert keep_generated("b" * 20, pairs, Mirror, BATCH, out, piece=1) == 600


def test_a_killed_run_goes_on_with_the_same_batches(loaded, tmp_path, scratch):
    pairs, _ = loaded
    out = tmp_path / "predictions.arrow"
    first, second = Mirror(lasts=20), Mirror()
    with pytest.raises(KeyboardInterrupt):
        keep_generated("a" * 20, pairs, lambda: first, BATCH, out, piece=1)
    assert not out.exists()
    assert sorted(path.name for path in scratch.rglob("*.*")) == ["00000000.arrow", "people.json"]
    assert keep_generated("a" * 20, pairs, lambda: second, BATCH, out, piece=1) == 600 - 256
    assert sum(second.seen) == 600 - 256
    write_predictions(tmp_path / "whole.arrow", pairs.pair_id.tolist(), generate(Mirror(), pairs, BATCH))
    assert out.read_bytes() == (tmp_path / "whole.arrow").read_bytes()
    assert set(second.seen[:-1]) == {BATCH}


def test_batches_are_those_of_one_pass_whatever_the_piece(loaded, tmp_path):
    pairs, _ = loaded
    runner = Mirror()
    keep_generated("c" * 20, pairs, lambda: runner, 48, tmp_path / "p.arrow", piece=1)
    assert runner.seen == [48] * 12 + [24]


def key_of(folder, loaded, batch_size=BATCH, method="fomm", own_crop=False):
    pairs, hashes = loaded
    files = [folder / name for name in ("weights", "config", "head", "fits")]
    names, device = Images.of(pairs.frames).names, torch.device("cpu")
    return generation_key(method, own_crop, files, pairs, hashes.pairs_sha256, names, batch_size, device)


def test_whatever_the_frames_depend_on_changes_the_key(world, loaded, tmp_path, monkeypatch):
    pairs, hashes = loaded
    for name in ("weights", "config", "head", "fits"):
        (tmp_path / name).write_bytes(b"content of " + name.encode())
    key = key_of(tmp_path, loaded)
    assert key == key_of(tmp_path, load_pair_frames(world / "pairs.parquet", world / "clips"))
    others = {key_of(tmp_path, loaded, 8), key_of(tmp_path, (pairs, replace(hashes, pairs_sha256="other")))}
    for name in ("weights", "config", "head", "fits"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[:-1] + b"!")
        others.add(key_of(tmp_path, loaded))
        (tmp_path / name).write_bytes(content)
    repainted(world / "clips", tmp_path / "clips", (pairs.source_clip[7], pairs.source_frame[7]))
    others.add(key_of(tmp_path, load_pair_frames(world / "pairs.parquet", tmp_path / "clips")))
    others |= {key_of(tmp_path, loaded, method="lsr"), key_of(tmp_path, loaded, own_crop=True)}
    monkeypatch.setattr("pipeline.bench.kept.code_sha256", lambda *modules: f"other code of {modules}")
    others.add(key_of(tmp_path, loaded))
    monkeypatch.setattr("pipeline.bench.kept.arithmetic", lambda device: "another processor")
    others.add(key_of(tmp_path, loaded))
    assert len(others - {key}) == 11


def repainted(clips, out, frame: tuple[str, int]) -> None:
    """Copy clips, one pixel of one frame changed by one grey level: file sizes and the index stay as they are."""
    index = read_table(clips / "index.parquet", INDEX)
    store = ClipStore(clips)
    with ClipWriter(out, "png", 1 << 20) as writer:
        for number, clip in enumerate(store.clips()):
            frames = store.frames(clip)
            if clip == frame[0]:
                frames[frame[1], 3, 4, 1] ^= 1
            writer.add(number, encode_png(frames))
    write_table(out / "index.parquet", index)


def test_an_edit_of_a_metric_or_of_scoring_generates_nothing():
    code = closure("pipeline.bench.kept", adapter_module("pwm"), plugins=False)
    reached = {path.relative_to(ROOT).as_posix() for path in code}
    assert not [path for path in reached if path.startswith("pipeline/metrics/")]
    assert not reached & {f"pipeline/bench/{name}.py" for name in ("scoring", "features", "evaluate", "pairs")}
    assert {"model/pwm/generator.py", "pipeline/bench/generate.py", "pipeline/store/clips.py"} <= reached
