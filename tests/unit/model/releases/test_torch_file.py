"""Files of torch are read as torch itself reads them, and nothing in them is run."""

import collections
import os
import pickle
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from model.releases.torch_file import StoredTensor, TorchFile
from tests.released_files import write_torch_02

KINDS = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool)


def checkpoint() -> dict:
    torch.manual_seed(0)
    base = torch.randn(6, 7)
    state = collections.OrderedDict(
        {
            "whole": base,
            "turned": base.t(),
            "cut": base[1:4, ::2],
            "one": torch.tensor(3.5),
            "none": torch.zeros(0, 4),
            "repeated": torch.ones(1).expand(50, 60),
            **{str(kind): torch.arange(5).to(kind) for kind in KINDS},
        }
    )
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    parameter = torch.nn.Parameter(torch.randn(3))
    adam = torch.optim.Adam([parameter])
    parameter.sum().backward()
    adam.step()
    return {
        "net": state,
        "parameter": parameter,
        "optimizer": adam.state_dict(),
        "schedule": {"milestones": collections.Counter([3, 5]), "state": collections.defaultdict(dict, a=1)},
        "epoch": 7,
        "loss": np.float64(0.25),
    }


def assert_same(found, expected) -> None:
    if isinstance(expected, torch.Tensor):
        assert isinstance(found, StoredTensor)
        assert (found.shape, found.dtype) == (tuple(expected.shape), expected.dtype)
        assert torch.equal(found.read(), expected.detach())
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, list | tuple):
        for ours, theirs in zip(found, expected, strict=True):
            assert_same(ours, theirs)
    else:
        assert found == expected


@pytest.mark.parametrize("archive", [True, False])
def test_reads_what_torch_load_reads(archive, tmp_path):
    torch.save(checkpoint(), tmp_path / "file", _use_new_zipfile_serialization=archive)
    with TorchFile(tmp_path / "file", "a checkpoint") as file:
        assert_same(file.content, torch.load(tmp_path / "file", weights_only=False))


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_reads_the_files_of_torch_02_and_python_2(device, tmp_path):
    state = collections.OrderedDict(
        {key: value for key, value in checkpoint()["net"].items() if value.dtype == KINDS[0]}
    )
    write_torch_02(tmp_path / "file", {"state_dict": state, "optimizer": {"state": {2**70: {"step": 1}}}}, device)
    with TorchFile(tmp_path / "file", "a checkpoint") as file:
        oracle = torch.load(tmp_path / "file", weights_only=False, encoding="latin1", map_location="cpu")
        assert_same(file.content, oracle)
        assert_same(file.content["state_dict"], state)


def test_reads_parts_of_storages_that_old_files_have(tmp_path):
    """torch 0.2 could store a piece of a storage as (key, first, count) of the whole."""

    class Old(pickle._Pickler):
        def persistent_id(self, given):
            return given if isinstance(given, tuple) and given[:1] == ("storage",) else None

        def save(self, given, save_persistent_id=True):
            if given is torch.FloatStorage:
                self.write(b"ctorch\nFloatStorage\n")
            elif isinstance(given, Piece):
                self.write(b"ctorch._utils\n_rebuild_tensor\n")
                whole = ("storage", torch.FloatStorage, "5", "cpu", 10, ("9", given.first, given.count))
                super().save((whole, 0, (given.count,), (1,)))
                self.write(pickle.REDUCE)
            else:
                super().save(given, save_persistent_id)

    class Piece:
        def __init__(self, first: int, count: int) -> None:
            self.first, self.count = first, count

    def write(first: int, count: int) -> None:
        with (tmp_path / "file").open("wb") as stream:
            for start in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
                pickle.dump(start, stream, 2)
            Old(stream, 2).dump({"piece": Piece(first, count)})
            pickle.dump(["5"], stream, 2)
            stream.write(struct.pack("<q", 10) + np.arange(10, dtype=np.float32).tobytes())

    write(3, 4)
    with TorchFile(tmp_path / "file", "a checkpoint") as file:
        assert file.content["piece"].read().tolist() == [3, 4, 5, 6]
        assert torch.load(tmp_path / "file", weights_only=False)["piece"].tolist() == [3, 4, 5, 6]
    write(3, 8)
    with pytest.raises(ValueError, match="a part of storage 5 that reaches beyond it"):
        TorchFile(tmp_path / "file", "a checkpoint")


def test_a_tensor_is_read_when_it_is_asked_for(tmp_path):
    """A flipped bit in one tensor of an archive stops that tensor alone."""
    torch.save({"good": torch.ones(100), "bad": torch.full((100,), 2.0)}, tmp_path / "file")
    content = (tmp_path / "file").read_bytes()
    (tmp_path / "file").write_bytes(
        content.replace(np.float32(2).tobytes() * 100, np.float32(2).tobytes() * 99 + b"abcd")
    )
    with TorchFile(tmp_path / "file", "a checkpoint") as file:
        assert torch.equal(file.content["good"].read(), torch.ones(100))
        with pytest.raises(ValueError, match="is damaged: Bad CRC-32"):
            file.content["bad"].read()


class Call:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("archive", [True, False])
def test_nothing_is_run(archive, tmp_path):
    torch.save({"a": torch.ones(2), "more": Call(tmp_path / "ran")}, tmp_path / "file",
               _use_new_zipfile_serialization=archive)  # fmt: skip
    with pytest.raises(ValueError, match=r"holds more than tensors: it names posix\.system, and nothing"):
        TorchFile(tmp_path / "file", "a checkpoint")
    (tmp_path / "file").write_bytes(pickle.dumps(Call(tmp_path / "ran")))
    with pytest.raises(ValueError, match=r"posix\.system"):
        TorchFile(tmp_path / "file", "a checkpoint")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "file", _use_new_zipfile_serialization=archive)
    with pytest.raises(ValueError, match=r"holds more than tensors: it names .*(torch\.nn|'module')"):
        TorchFile(tmp_path / "file", "a checkpoint")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("archive", [True, False])
def test_every_truncation_is_refused(archive, tmp_path):
    torch.save({"a": torch.ones(40), "b": torch.ones(3, 5)}, tmp_path / "file", _use_new_zipfile_serialization=archive)
    whole = (tmp_path / "file").read_bytes()
    for size in range(0, len(whole), 7 if archive else 3):
        (tmp_path / "part").write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"part is (truncated|damaged)"):
            TorchFile(tmp_path / "part", "a checkpoint")


def error_of(path: Path) -> str:
    """Read all of a file; the one kind of error, or whatever else was raised."""
    try:
        with TorchFile(path, "a checkpoint") as file:
            tensors = file.content.get("net") if isinstance(file.content, dict) else None
            for value in tensors.values() if isinstance(tensors, dict) else ():
                if isinstance(value, StoredTensor) and torch.Size(value.shape).numel() < 10_000:
                    value.read()
    except ValueError as error:
        return "names the file" if str(path) in str(error) else f"does not name it: {error}"
    return ""


def test_damaged_files_raise_one_kind_of_error(tmp_path):
    torch.save(checkpoint(), tmp_path / "file", _use_new_zipfile_serialization=False)
    whole, draw = (tmp_path / "file").read_bytes(), random.Random(0)
    for _ in range(300):
        broken = bytearray(whole)
        for _ in range(3):
            broken[draw.randrange(2500)] = draw.randrange(256)
        (tmp_path / "broken").write_bytes(broken)
        assert error_of(tmp_path / "broken") in ("", "names the file")


def test_other_files_are_named(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "script"))
    with pytest.raises(ValueError, match="is a TorchScript program"):
        TorchFile(tmp_path / "script", "a checkpoint")
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("face/latest_checkpoint.txt", "x")
    with pytest.raises(ValueError, match=r"is an archive of other files \(face/latest_checkpoint\.txt\): unpack it"):
        TorchFile(tmp_path / "zip", "a checkpoint")
    (tmp_path / "tar").write_bytes(bytes(257) + b"ustar" + bytes(250))
    with pytest.raises(ValueError, match="is a tar archive, expected a checkpoint"):
        TorchFile(tmp_path / "tar", "a checkpoint")
    with pytest.raises(FileNotFoundError, match="absent: expected a checkpoint"):
        TorchFile(tmp_path / "absent", "a checkpoint")
    torch.save({"a": torch.ones(2)}, tmp_path / "big")
    with zipfile.ZipFile(tmp_path / "big") as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "big", "w") as archive:
        for entry, content in entries.items():
            archive.writestr(entry, b"big" if entry.endswith("byteorder") else content)
    with pytest.raises(ValueError, match="holds numbers in big-endian order"):
        TorchFile(tmp_path / "big", "a checkpoint")
