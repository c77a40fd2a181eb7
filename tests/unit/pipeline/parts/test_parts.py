"""Part labels: a data set's own files, cropped as its clips were, and what becomes of those that are not there."""

from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
import torch

from model.method.parts import PARTS
from pipeline.parts.bring import bring_parts
from pipeline.parts.labels import LabelledVideo, cropped
from pipeline.puppets.appearance import PARTS as RENDERED
from pipeline.store.clips import ClipWriter, encode_frame
from pipeline.store.parts import PartStore
from pipeline.store.schema import INDEX, write_table
from pipeline.training.augment import recrop
from pipeline.training.dataset import PairDataset
from tests.row_inputs import FRAMES, row_inputs

SIDE, HEIGHT, WIDTH = 8, 30, 44
BOX = (6, 3, 30, 27)  # left, top, right, bottom: three pixels of the video are one of the clip


def write_labels(path: Path, frames: dict[int, np.ndarray], names: str = "background,hair,skin") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([("frame", pa.int32()), ("png", pa.binary())], metadata={"parts": names})
    pngs = [cv2.imencode(".png", label)[1].tobytes() for label in frames.values()]
    table = pa.table({"frame": pa.array(frames, pa.int32()), "png": pa.array(pngs, pa.binary())}, schema)
    with pa.ipc.new_file(str(path), schema) as writer:
        writer.write_table(table)


def write_clip(folder: Path) -> None:
    left, top, right, bottom = BOX
    x, y = 2 / (right - left), 2 / (bottom - top)
    with ClipWriter(folder, "png", 1 << 20) as writer:
        image = encode_frame(np.zeros((SIDE, SIDE, 3), np.uint8), "png", 95)
        shard, batch = writer.add(0, [image, image])
    row = dict.fromkeys(INDEX.names) | {"clip": "a", "dataset": "films", "video": "v", "num_frames": 2}
    row |= {
        "crop_map": [x, 0, -1 - x * left, 0, y, -1 - y * top],
        "frame_index": [4, 9],
        "shard": shard,
        "batch": batch,
    }
    write_table(folder / "index.parquet", pa.Table.from_pylist([row], schema=INDEX))


def test_what_puppets_render_has_names_that_lessons_know():
    assert RENDERED == PARTS


def test_labels_are_cropped_as_frames_were_and_named_anew(tmp_path):
    rng = np.random.default_rng(0)
    frames = {number: rng.integers(0, 3, (HEIGHT, WIDTH), np.uint8) for number in (4, 9)}
    write_labels(tmp_path / "films" / "labels" / "v.arrow", frames)
    write_clip(tmp_path / "clips")
    bring_parts(tmp_path / "clips", {"films": tmp_path / "films"}, ["lsr"], tmp_path / "parts" / "train.arrow")
    store = PartStore(tmp_path / "parts" / "train.arrow")
    assert (store.clips(), store.names, store.why) == (["a"], PARTS, "")
    number_of = [PARTS.index(name) for name in ("background", "hair", "skin")]
    for i, frame in enumerate((4, 9)):
        found = store.labels("a", i)
        for y in range(SIDE):
            for x in range(SIDE):
                seen = frames[frame][BOX[1] + 3 * y : BOX[1] + 3 * y + 3, BOX[0] + 3 * x : BOX[0] + 3 * x + 3]
                counts = {number_of[part]: int((seen == part).sum()) for part in range(3)}
                most = max(counts.values())
                assert found[y, x] == min(part for part, count in counts.items() if count == most)


def test_a_crop_between_pixels_is_that_of_the_frame_itself():
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[:, 18:] = 2
    left, top, right, bottom = BOX
    x, y = 2 / (right - left), 2 / (bottom - top)
    to_clip = np.float32([[x, 0, -1 - x * left], [0, y, -1 - y * top]])  # as the index keeps it
    assert (cropped(labels, to_clip, SIDE) == np.where(np.arange(SIDE) < 4, 0, 2)).all()


def test_without_labels_the_reason_stands_in_the_file(tmp_path):
    write_clip(tmp_path / "clips")
    bring_parts(tmp_path / "clips", {"films": tmp_path / "films"}, [], tmp_path / "none.arrow")
    assert PartStore(tmp_path / "none.arrow").why == "no method of this profile learns from part labels"
    bring_parts(tmp_path / "clips", {"films": tmp_path / "films"}, ["bilayer", "lsr"], tmp_path / "missing.arrow")
    store = PartStore(tmp_path / "missing.arrow")
    assert store.why.startswith(
        "bilayer, lsr learn from part labels, and 1 of 1 training clips have none: there is no "
    )
    with pytest.raises(KeyError, match="no labels of clip a"):
        store.labels("a", 0)
    with pytest.raises(FileNotFoundError, match="run the stage `parts`"):
        PartStore(tmp_path / "nowhere.arrow")


@pytest.mark.parametrize(
    ("frames", "names", "said"),
    [
        ({4: np.zeros((3, 3), np.uint8)}, "background,nose", "names the part 'nose'; there are background, skin"),
        ({4: np.zeros((3, 3), np.uint8)}, "", "does not say what its numbers mean"),
        ({4: np.full((3, 3), 3, np.uint8)}, "background,hair,skin", "frame 4 has the number 3, but 3 parts are named"),
        ({4: np.zeros((3, 3, 3), np.uint8)}, "background", "are no PNG of one channel of 8 bits"),
        ({4: np.zeros((3, 3), np.uint16)}, "background", "are no PNG of one channel of 8 bits"),
        ({5: np.zeros((3, 3), np.uint8)}, "background", "has no labels of frame 4"),
    ],
)
def test_labels_of_another_form_are_refused_by_name(tmp_path, frames, names, said):
    path = tmp_path / "v.arrow"
    write_labels(path, frames, names)
    with pytest.raises(ValueError, match=f"v.arrow.*{said}"):
        LabelledVideo(path).labels(4)


def test_a_file_that_is_no_table_is_refused_by_name(tmp_path):
    (tmp_path / "v.arrow").write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"v\.arrow is no Arrow file"):
        LabelledVideo(tmp_path / "v.arrow")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return row_inputs(tmp_path_factory.mktemp("inputs"))


def test_training_pairs_come_with_labels_that_move_as_they_do(inputs, tmp_path):
    from pipeline.store.parts import write_parts

    rng = np.random.default_rng(1)
    blocks = rng.integers(0, len(PARTS), (FRAMES, 8, 8), np.uint8)
    labels = list(blocks.repeat(8, 1).repeat(8, 2))
    write_parts(tmp_path / "train.arrow", [("a", labels)], PARTS, "")
    data = PairDataset(inputs.clips, inputs.fits, parts=tmp_path / "train.arrow")
    pairs = data.batch(3, seed=0, batch_size=5)
    assert pairs.parts is not None
    assert pairs.near is not None
    for shown, view in zip(pairs.parts, pairs.near, strict=True):
        assert torch.equal(shown, torch.from_numpy(np.stack([labels[i] for i in view.numbers])))
    assert torch.equal(pairs.share(1, 2).parts[1], pairs.parts[1][1::2])
    # A frame whose pixels are its labels, moved by the same crops, shows the same.
    painted = recrop(_painted(pairs), 0.3, 0.2, seed=0, step=3)
    moved = recrop(pairs, 0.3, 0.2, seed=0, step=3)
    for shown, images in zip(moved.parts, (painted.source, painted.driving), strict=True):
        flat = images[:, 0] * len(PARTS)
        sure = (flat - flat.round()).abs() < 1e-4  # not between two blocks
        assert sure.float().mean() > 0.5
        assert torch.equal(flat.round().to(torch.uint8)[sure], shown[sure])


def test_clips_without_labels_are_refused_in_training(inputs, tmp_path):
    from pipeline.store.parts import write_parts

    write_parts(tmp_path / "train.arrow", [], PARTS, "nobody labelled them")
    with pytest.raises(ValueError, match="no labels of 1 clips, a among them: nobody labelled them"):
        PairDataset(inputs.clips, inputs.fits, parts=tmp_path / "train.arrow")


def _painted(pairs):
    from dataclasses import replace

    source, driving = ((parts[:, None] / len(PARTS)).expand(-1, 3, -1, -1) for parts in pairs.parts)
    return replace(pairs, source=source, driving=driving)
