"""TensorFlow's checkpoints are read without TensorFlow: its own file against its rule, and what is refused."""

import contextlib
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from model.releases.tf_bundle import TfBundle
from tests.helpers import shared
from tests.parity.golden import Golden
from tests.tf_checkpoints import write_checkpoint


def test_a_checkpoint_of_tensorflow_holds_what_its_rule_says():
    bundle = TfBundle(shared("golden/lsr_tiny_checkpoint/ckpt-1.index"))
    rule = Golden(shared("golden")).fill
    manifest = rule.read_manifest(shared("manifests/lsr_tf_checkpoint.tsv"))
    rows = {key: (shape, kind) for key, shape, kind in manifest}
    weights = [key for key in bundle.stored if key in rows]
    assert len(weights) == 122
    for key in weights:
        expected = rule.fill(f"lsr_tf_checkpoint/{key}", *rows[key], 1)
        found = bundle.read(key)
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected), key
    assert bundle.read("global_step/.ATTRIBUTES/VARIABLE_VALUE") == 1234
    others = set(bundle.stored) - {*rows, "global_step/.ATTRIBUTES/VARIABLE_VALUE"}
    assert others == {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    with pytest.raises(ValueError, match="stores _CHECKPOINTABLE_OBJECT_GRAPH as string, which is not read here"):
        bundle.read("_CHECKPOINTABLE_OBJECT_GRAPH")


def arrays() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    several = {f"net/layer{i}/kernel": draw.standard_normal((i + 1, 3)).astype(np.float32) for i in range(300)}
    return {
        **several,
        "large": draw.standard_normal((300, 100)),
        "step": np.array(5, np.int64),
        "none": np.zeros((0, 3)),
    }


@pytest.mark.parametrize("shards", [1, 3])
def test_many_blocks_and_several_data_files_are_read(shards, tmp_path):
    write_checkpoint(tmp_path / "ckpt-7", arrays(), shards)
    bundle = TfBundle(tmp_path / "ckpt-7.index")
    assert set(bundle.stored) == set(arrays())
    for name, array in arrays().items():
        assert bundle.stored[name].shape == array.shape
        assert np.array_equal(bundle.read(name), array)
        assert bundle.read(name).dtype == array.dtype


def test_what_is_not_read_is_named(tmp_path):
    for code, how in ((1, "snappy"), (9, "method 9")):
        write_checkpoint(tmp_path / "c", arrays(), compression=code)
        with pytest.raises(ValueError, match=rf"c\.index is compressed \({how}\), which is not read here"):
            TfBundle(tmp_path / "c.index")
    write_checkpoint(tmp_path / "c", arrays(), endianness=1)
    with pytest.raises(ValueError, match="was written on a big-endian machine"):
        TfBundle(tmp_path / "c.index")
    index, data = write_checkpoint(tmp_path / "c", arrays())
    data.unlink()
    with pytest.raises(FileNotFoundError, match="c.data-00000-of-00001, where .*c.index says that its numbers are"):
        TfBundle(index)
    with pytest.raises(FileNotFoundError, match="no file .*absent.index: expected the .index"):
        TfBundle(tmp_path / "absent.index")
    index.write_bytes(b"PK" + bytes(100))
    with pytest.raises(ValueError, match="no index of a TensorFlow checkpoint"):
        TfBundle(index)


def test_damage_of_the_numbers_is_found_by_their_checksum(tmp_path):
    index, data = write_checkpoint(tmp_path / "c", arrays())
    whole = bytearray(data.read_bytes())
    at = whole.index(arrays()["large"].tobytes())
    whole[at + 77_777] ^= 4
    data.write_bytes(whole)
    bundle = TfBundle(index)
    with pytest.raises(ValueError, match="c.data-00000-of-00001 is damaged: the checksum of large is wrong"):
        bundle.read("large")
    assert bundle.read("step") == 5
    data.write_bytes(whole[:-8])
    with pytest.raises(ValueError, match="is truncated: step ends at byte"):
        bundle.read("step")


def refused(index: Path) -> bool:
    try:
        TfBundle(index)
    except ValueError:
        return True
    return False


def test_every_damage_of_the_index_is_one_error(tmp_path):
    index, data = write_checkpoint(tmp_path / "whole", {k: v for k, v in arrays().items() if k != "large"})
    whole, draw = index.read_bytes(), random.Random(0)
    shutil.copy(data, tmp_path / "part.data-00000-of-00001")
    part: Path = tmp_path / "part.index"
    for size in range(0, len(whole), 97):
        part.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"part\.index is (truncated|damaged)"):
            TfBundle(part)
    for _ in range(200):  # a flipped bit of a block is found by its checksum, one of the footer by where it leads
        broken = bytearray(whole)
        broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
        part.write_bytes(broken)
        with pytest.raises(ValueError, match=r"part\.index") if refused(part) else contextlib.nullcontext():
            assert set(TfBundle(part).stored) == set(TfBundle(index).stored)  # a bit of the footer's padding


def test_an_index_that_contradicts_itself_is_refused(tmp_path, monkeypatch):
    """With right checksums: another size, a data file too many."""
    index, _ = write_checkpoint(tmp_path / "c", {"a": np.ones(4, np.float32)})
    bundle = TfBundle(index)
    stored = bundle.stored["a"]
    for changes, reason in (
        ({"size": 12}, "gives a 12 bytes for"),
        ({"shard": 4}, "puts a into data file 4 of 1"),
        ({"in_slices": True}, "slices of several entries"),
        ({"dtype": "type 20"}, "type 20, which is not read here"),
        ({"offset": 2**40}, "is truncated"),
        ({"shape": (2**60, 4), "size": 2**64}, "is truncated"),
    ):
        monkeypatch.setitem(bundle.stored, "a", type(stored)(**{**stored.__dict__, **changes}))
        with pytest.raises(ValueError, match=reason):
            bundle.read("a")
