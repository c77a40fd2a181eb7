import gc

import numpy as np
import pyarrow as pa
import pytest

from pipeline.store.clips import ClipStore, ClipWriter, decode_frame, encode_frame
from pipeline.store.schema import INDEX, write_table
from tests.videos import frame_image

SIZE = (40, 24)


def pack(folder, lengths, encoding="png", shard_bytes=1 << 20):
    index = []
    with ClipWriter(folder, encoding, shard_bytes) as writer:
        for number, (clip, length) in enumerate(lengths.items()):
            images = [encode_frame(frame_image(10 * number + i, SIZE), encoding, 95) for i in range(length)]
            shard, batch = writer.add(number, images)
            row = dict.fromkeys(INDEX.names) | {"clip": clip, "num_frames": length, "shard": shard, "batch": batch}
            index.append(row)
    write_table(folder / "index.parquet", pa.Table.from_pylist(index, schema=INDEX))
    return ClipStore(folder)


def test_png_frames_come_back_exactly_and_in_order(tmp_path):
    store = pack(tmp_path, {"b": 3, "a": 2})
    assert store.clips() == ["b", "a"]
    assert store.num_frames("b") == 3
    assert store.frames("a").shape == (2, *SIZE, 3)
    for i in range(3):
        np.testing.assert_array_equal(store.frame("b", i), frame_image(i, SIZE))
    np.testing.assert_array_equal(store.frames("a")[1], frame_image(11, SIZE))


def test_no_more_places_are_held_than_allowed_and_frames_stay_right(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.store.clips.HELD_CLIPS", 2)
    store = pack(tmp_path, {name: 2 for name in "abcde"})
    for _ in range(2):
        for number, clip in enumerate("abcde"):
            np.testing.assert_array_equal(store.frame(clip, 1), frame_image(10 * number + 1, SIZE))
            assert len(store._images) <= 2


def test_jpeg_frames_are_rgb_and_close(tmp_path):
    frame = np.zeros((16, 24, 3), np.uint8)
    frame[..., 0] = 200
    back = decode_frame(encode_frame(frame, "jpeg", 95))
    assert np.abs(back.astype(int) - frame).max() < 6


def test_a_full_shard_is_followed_by_another(tmp_path):
    store = pack(tmp_path, {"a": 2, "b": 2, "c": 2}, shard_bytes=1)
    assert store.index["shard"].to_pylist() == ["shard-0000.arrow", "shard-0001.arrow", "shard-0002.arrow"]
    assert store.index["batch"].to_pylist() == [0, 0, 0]
    np.testing.assert_array_equal(store.frame("c", 1), frame_image(21, SIZE))


def test_bytes_depend_on_the_content_alone(tmp_path):
    for name in ("one", "two"):
        pack(tmp_path / name, {"a": 3, "b": 2}, encoding="jpeg")
    for file in ("shard-0000.arrow", "index.parquet"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_images_are_views_of_the_mapped_file(tmp_path):
    store = pack(tmp_path, {"a": 2})
    gc.collect()  # what earlier tests left may otherwise be freed in between
    before = pa.total_allocated_bytes()
    images = store.images("a")
    assert images[1].as_buffer().size > 0
    assert pa.total_allocated_bytes() <= before


def test_columns_are_as_documented(tmp_path):
    pack(tmp_path, {"a": 2})
    with pa.ipc.open_file(pa.memory_map(str(tmp_path / "shard-0000.arrow"))) as reader:
        batch = reader.get_batch(0)
    assert batch.schema.names == ["clip", "frame", "png"]
    assert batch["frame"].to_pylist() == [0, 1]


def test_a_folder_without_an_index_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"index\.parquet"):
        ClipStore(tmp_path)
