import threading
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch

from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.method.network import Batch
from pipeline.store.clips import ClipWriter, encode_frame
from pipeline.store.fits import build_fits, fits_metadata
from pipeline.store.schema import INDEX, write_table
from pipeline.training.augment import recolour, recrop
from pipeline.training.dataset import PairDataset
from pipeline.training.loader import BatchesAhead, batches_ahead
from tests.helpers import random_head

SIZE = (24, 32)
LENGTHS = {"a": 6, "b": 9, "c": 5}


@pytest.fixture(scope="module")
def head():
    return HeadModel(random_head())


@pytest.fixture(scope="module")
def folder(tmp_path_factory, head):
    """Three clips whose frames carry their clip in red and their number in green; shape codes carry both."""
    root = tmp_path_factory.mktemp("packed")
    index, clips, frames = [], [], []
    with ClipWriter(root / "train", "png", 1 << 20) as writer:
        for number, (clip, length) in enumerate(LENGTHS.items()):
            images = [np.full((*SIZE, 3), (50 * number, 20 * i, 7), np.uint8) for i in range(length)]
            shard, batch = writer.add(number, [encode_frame(image, "png", 95) for image in images])
            row = dict.fromkeys(INDEX.names) | {"clip": clip, "num_frames": length, "shard": shard, "batch": batch}
            index.append(row)
            clips += [clip] * length
            frames += range(length)
    write_table(root / "train" / "index.parquet", pa.Table.from_pylist(index, schema=INDEX))
    count = len(clips)
    fit = HeadFit(
        torch.zeros(count, head.num_shape),
        torch.zeros(count, head.num_expression),
        torch.zeros(count, head.num_pose),
        torch.zeros(count, head.num_camera),
        torch.zeros(count, 6),
    )
    fit.shape[:, 0] = torch.tensor(["abc".index(clip) for clip in clips]).float()
    fit.shape[:, 1] = torch.tensor(frames).float()
    status = ["ok"] * count
    for row in range(count):
        if clips[row] == "c" or (clips[row], frames[row]) == ("a", 3):
            status[row] = "no_face"
    table = build_fits(
        head,
        clip=clips,
        frame=frames,
        status=status,
        score=np.ones(count),
        residual=np.zeros(count),
        fit=fit,
        crop_map=np.zeros((count, 6)),
        landmarks=np.zeros((count, 136)),
    )
    write_table(root / "fits.parquet", table, fits_metadata(head, "truth", ""))
    return root


@pytest.fixture
def dataset(folder, head):
    return PairDataset(folder / "train", folder / "fits.parquet", head)


def names(image, fit):
    """(clip, frame) of every item, from the image's colours and from the fit's codes."""
    colours = (image[:, :2, 5, 9] * 255).round() / torch.tensor([50.0, 20.0])
    return [tuple(c) for c in colours.round().int().tolist()], [tuple(c) for c in fit.shape[:, :2].int().tolist()]


def test_images_and_fits_are_of_the_same_frames_of_one_clip(dataset):
    batch = dataset.batch(5, seed=1, batch_size=64)
    assert batch.source.shape == batch.driving.shape == (64, 3, *SIZE)
    assert batch.source.dtype == torch.float32
    sources, source_fits = names(batch.source, batch.fit_src)
    drivings, driving_fits = names(batch.driving, batch.fit_drv)
    assert sources == source_fits
    assert drivings == driving_fits
    assert torch.allclose(batch.source[:, 2], torch.tensor(7 / 255))
    for (clip, i), (other, j) in zip(sources, drivings, strict=True):
        assert clip == other
        assert i != j


def test_frames_without_a_fit_are_never_drawn_and_all_others_are(dataset):
    drawn = set()
    for step in range(20):
        batch = dataset.batch(step, seed=1, batch_size=16)
        drawn |= set(names(batch.source, batch.fit_src)[0])
    assert drawn == {(0, i) for i in (0, 1, 2, 4, 5)} | {(1, i) for i in range(9)}
    assert len(dataset) == 2


def test_a_batch_is_a_function_of_seed_and_step(dataset, folder):
    fresh = PairDataset(folder / "train", folder / "fits.parquet")
    fresh.batch(0, 1, 8)
    assert torch.equal(dataset.batch(7, 1, 8).source, fresh.batch(7, 1, 8).source)
    assert torch.equal(dataset.batch(7, 1, 8).fit_drv.shape, fresh.batch(7, 1, 8).fit_drv.shape)
    assert not torch.equal(dataset.batch(7, 1, 8).source, dataset.batch(8, 1, 8).source)
    assert not torch.equal(dataset.batch(7, 1, 8).source, dataset.batch(7, 2, 8).source)


def test_fits_of_another_head_are_refused(folder):
    with pytest.raises(ValueError, match="was fitted with head"):
        PairDataset(folder / "train", folder / "fits.parquet", HeadModel(random_head(1)))


def same(one, other):
    """Whether two batches hold the same bits."""
    parts = [(one.source, other.source), (one.driving, other.driving)]
    parts += [(getattr(one.fit_drv, n), getattr(other.fit_drv, n)) for n in ("shape", "pose")]
    return all(torch.equal(a, b) for a, b in parts)


def test_batches_made_ahead_are_the_batches_of_their_steps(dataset, folder):
    fresh = PairDataset(folder / "train", folder / "fits.parquet", cache_bytes=0)
    with BatchesAhead(lambda step: fresh.batch(step, 3, 8), 9, threads=3) as ahead:
        for step in (0, 1, 2, 3, 7, 8, 2, 3):  # a run that goes on, one that resumes, one that goes back
            assert same(ahead(step), dataset.batch(step, 3, 8)), step
        assert not same(ahead(4), dataset.batch(5, 3, 8))


def test_batches_are_in_the_works_before_they_are_asked_for_and_never_behind_the_end():
    asked, released = [], threading.Event()

    def slow(step):
        asked.append(step)
        assert released.wait(60)
        return step

    with BatchesAhead(slow, 4, threads=2) as ahead:
        released.set()
        assert ahead(1) == 1
        assert ahead(2) == 2
        assert ahead(3) == 3
    assert sorted(asked) == [1, 2, 3]


def test_what_goes_wrong_in_a_thread_is_raised_at_its_step():
    def broken(step):
        if step == 2:
            raise ValueError("the shard is damaged")
        return step

    with BatchesAhead(broken, 9, threads=2) as ahead:
        assert [ahead(0), ahead(1)] == [0, 1]
        with pytest.raises(ValueError, match="damaged"):
            ahead(2)


def test_the_processor_gets_the_same_batches_from_one_thread(dataset):
    def draw(step: int):
        return dataset.batch(step, seed=3, batch_size=2)

    with batches_ahead(draw, 5, torch.device("cpu")) as batch_at:
        for step in (0, 1, 4):
            assert torch.equal(batch_at(step).source, draw(step).source)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_a_gpu_gets_the_same_batches_from_memory_that_it_reads_itself(dataset):
    def draw(step: int) -> Batch:
        pairs = dataset.batch(step, seed=3, batch_size=2)
        return Batch(pairs.source, pairs.driving, {"shape": pairs.fit_drv.shape})

    device = torch.device("cuda")
    with batches_ahead(draw, 40, device) as batch_at:
        for step in (0, 1, 2, 30, 39, 3):
            ready, plain = batch_at(step), draw(step)
            assert all(t.is_pinned() for t in (ready.source, ready.target, ready.signals["shape"]))
            there = ready.to(device, torch.channels_last)
            torch.cuda.synchronize()
            assert there.source.is_contiguous(memory_format=torch.channels_last)
            for moved, wanted in ((there.source, plain.source), (there.target, plain.target)):
                assert torch.equal(moved.cpu(), wanted)
            assert torch.equal(there.signals["shape"].cpu(), plain.signals["shape"])


def test_shares_are_disjoint_and_together_the_batch(folder, head):
    batch = PairDataset(folder / "train", folder / "fits.parquet", head).batch(3, seed=0, batch_size=6)
    shares = [batch.share(index, 3) for index in range(3)]
    for index, share in enumerate(shares):
        assert share.source.shape == (2, 3, *SIZE)
        for name in ("source", "driving"):
            assert torch.equal(getattr(share, name), getattr(batch, name)[[index, index + 3]])
        for name in ("fit_src", "fit_drv"):
            assert torch.equal(getattr(share, name).shape, getattr(batch, name).shape[[index, index + 3]])
    assert torch.equal(batch.share(0, 1).driving, batch.driving)


@pytest.mark.parametrize("count", [2, 3])
def test_a_share_that_is_made_alone_is_the_share_of_the_whole_bit_for_bit(folder, head, count):
    data = PairDataset(folder / "train", folder / "fits.parquet", head)

    def made(share):
        drawn, mine = data.batch(3, 0, 6, share), slice(share[0], None, share[1])
        noise = torch.rand(2, 6, 3, *SIZE, generator=torch.Generator().manual_seed(2))[:, mine] / 10
        drawn = replace(drawn, source=drawn.source + noise[0], driving=drawn.driving + noise[1])
        moved = recrop(drawn, 0.2, 0.1, 0, 3, share)
        return recolour(moved, 0.3, 0, 3, share)

    whole = made((0, 1))
    for index in range(count):
        assert same(made((index, count)), whole.share(index, count))
        assert torch.equal(made((index, count)).source, whole.share(index, count).source)


def test_fits_of_fewer_clips_than_the_store_are_refused_by_name(folder, tmp_path):
    table = pq.read_table(folder / "fits.parquet")
    clips = sorted(set(table.column("clip").to_pylist()))  # three
    pq.write_table(table.filter(pc.not_equal(table.column("clip"), clips[1])), tmp_path / "fits.parquet")
    with pytest.raises(ValueError, match=rf"no fits of 1 of the 3 clips in .* \({clips[1]}\): run the stage `fit`"):
        PairDataset(folder / "train", tmp_path / "fits.parquet")
