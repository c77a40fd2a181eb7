"""Pickles of arrays: what is read from them, and that nothing else in them ever happens."""

import io
import os
import pickle

import numpy as np
import pytest
import torch
from scipy.sparse import csc_matrix

from model.releases.inert import to_array
from model.releases.restricted_pickle import read_pickle
from tests.releases import Python2Pickler, chumpy

WHAT = "a test's file"
ARRAYS = {
    "floats": np.arange(12.0).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "big_endian": np.arange(5, dtype=">i4"),
    "numbers": np.arange(4, dtype=np.uint32),
    "none": np.zeros((0, 3)),
}


class Call:
    """An object whose pickle calls `function` with `arguments`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def written(tmp_path, value, protocol=2, pickler=pickle.Pickler):
    path = tmp_path / "file.pkl"
    with path.open("wb") as stream:
        pickler(stream, protocol).dump(value)
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_every_protocol_are_read(tmp_path, protocol):
    stored = {**ARRAYS, "scalar": np.float64(2.5), "set": {"a"}}
    found = read_pickle(written(tmp_path, stored, protocol), WHAT)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(to_array(found[name], name), array)
    assert (found["scalar"], found["set"]) == (2.5, {"a"})


def test_arrays_of_python_2_and_old_numpy_are_read(tmp_path):
    path = written(tmp_path, ARRAYS, pickler=Python2Pickler)
    assert b"cnumpy.core.multiarray\n" in path.read_bytes()
    found = read_pickle(path, WHAT)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(to_array(found[name], name), array)


@pytest.mark.parametrize("protocol", range(6))
def test_chumpy_and_sparse_objects_give_their_arrays(tmp_path, protocol):
    values = np.arange(24.0).reshape(2, 3, 4)
    sparse = csc_matrix(np.array([[0.0, 2, 0], [1, 0, 0.5]]))
    idxs = np.array([5, 0, 23, 7])
    with chumpy() as (ch, select):
        stored = {"ch": ch(x=values), "select": select(a=ch(x=values), idxs=idxs, preferred_shape=(2, 2)),
                  "sparse": sparse}  # fmt: skip
        path = written(tmp_path, stored, protocol)
    found = {name: to_array(value, name) for name, value in read_pickle(path, WHAT).items()}
    np.testing.assert_array_equal(found["ch"], values)
    np.testing.assert_array_equal(found["select"], values.ravel()[idxs].reshape(2, 2))
    np.testing.assert_array_equal(found["sparse"], sparse.toarray())


def test_torch_tensors_in_an_npy_file_are_read(tmp_path):
    tensors = {"long": torch.arange(6).reshape(2, 3), "view": torch.arange(8.0).reshape(2, 4).T[1:3]}
    np.save(tmp_path / "file.npy", tensors, allow_pickle=True)
    (found,) = read_pickle(tmp_path / "file.npy", WHAT).objects
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(to_array(found[name], name), tensor.numpy())


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda marker: Call(os.system, f"touch {marker}"), r"\w+\.system"),
        (lambda marker: Call(eval, f"open({str(marker)!r}, 'w')"), r"builtins\.eval|__builtin__\.eval"),
        (lambda marker: Call(open, str(marker), "w"), r"\w+\.open"),
        (lambda marker: Call(getattr, "text", "format"), r"\w+\.getattr"),
        (lambda marker: Call(np.fromfile, str(marker)), r"numpy.*fromfile"),
        (lambda marker: Call(torch.load, str(marker)), r"torch\.serialization\.load"),
    ],
    ids=["system", "eval", "open", "getattr", "fromfile", "torch.load"],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_what_would_run_is_refused_by_name(tmp_path, make, named, protocol):
    marker = tmp_path / "ran"
    with chumpy() as (ch, _):
        path = written(tmp_path, {"v": ch(x=ARRAYS["floats"], hook=make(marker))}, protocol)
    with pytest.raises(ValueError, match=rf"file\.pkl asks for ({named}), which a test's file does not contain"):
        read_pickle(path, WHAT)
    assert not marker.exists()


def test_code_inside_a_tensors_bytes_is_refused(tmp_path):
    marker = tmp_path / "ran"
    inner = io.BytesIO()
    torch.save(Call(os.system, f"touch {marker}"), inner, _use_new_zipfile_serialization=False)
    path = written(tmp_path, Call(torch.storage._load_from_bytes, inner.getvalue()))
    with pytest.raises(ValueError, match=r"file\.pkl is damaged, or not a test's file"):
        read_pickle(path, WHAT)
    assert not marker.exists()


def test_stand_ins_cannot_be_altered_by_a_file(tmp_path):
    class_of_ch = b"cchumpy.ch\nCh\n"
    for poison in (
        class_of_ch + b"(N}U\x05stateU\x01xstb.",  # state for the class itself
        b"cnumpy\ndtype\n(N}U\x08__call__U\x01xstb.",
        b"cbuiltins\nset\n(N}U\x03addU\x01xstb.",
    ):
        path = tmp_path / "file.pkl"
        path.write_bytes(b"\x80\x02" + poison)
        with pytest.raises(ValueError, match=r"file\.pkl is damaged"):
            read_pickle(path, WHAT)
    assert read_pickle(written(tmp_path, ARRAYS), WHAT)["numbers"].values.tolist() == [0, 1, 2, 3]


def test_a_file_cut_anywhere_is_refused_in_one_line(tmp_path):
    with chumpy() as (ch, select):
        stored = {"v": select(a=ch(x=ARRAYS["floats"]), idxs=ARRAYS["numbers"]), "s": csc_matrix(np.eye(3)),
                  "t": torch.arange(3)}  # fmt: skip
        whole = written(tmp_path, stored).read_bytes()
    path = tmp_path / "cut.pkl"
    for length in [*range(0, len(whole) - 1, 7), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"^[^\n]*cut\.pkl is damaged, or not a test's file[^\n]*$"):
            read_pickle(path, WHAT)


def test_a_file_with_flipped_bytes_ends_in_a_value_or_in_one_error(tmp_path):
    with chumpy() as (ch, _):
        whole = bytearray(written(tmp_path, {"v": ch(x=ARRAYS["floats"]), "s": csc_matrix(np.eye(3))}).read_bytes())
    rng, refused, path = np.random.default_rng(0), 0, tmp_path / "flipped.pkl"
    for _ in range(400):
        damaged = whole.copy()
        damaged[rng.integers(len(whole))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            found = read_pickle(path, WHAT)
            for name in ("v", "s"):
                to_array(found[name] if isinstance(found, dict) and name in found else None, name)
        except ValueError:
            refused += 1
    assert refused > 50


def test_types_and_shapes_are_not_believed(tmp_path):
    """Records, lengths that do not match, and tensors beyond their storage."""
    path = tmp_path / "file.pkl"
    records = np.zeros(2, [("a", "f8"), ("b", "O")])
    long = bytearray(written(tmp_path, np.zeros(3, np.uint8)).read_bytes())
    tensor = written(tmp_path, torch.arange(4)).read_bytes()
    for content in (
        pickle.dumps(records, 2),
        pickle.dumps(records[["a"]].copy(), 2),
        bytes(long).replace(b"K\x03\x85", b"K\x63\x85"),  # the shape (3,) becomes (99,)
        tensor.replace(b"K\x04\x85", b"K\x63\x85"),
    ):
        assert content not in (bytes(long), tensor)
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"file\.pkl is damaged"):
            read_pickle(path, WHAT)


def test_what_is_no_array_of_numbers_is_refused_by_name(tmp_path):
    with chumpy() as (ch, select):
        endless = select(idxs=ARRAYS["numbers"])
        endless.a = endless
        path = written(tmp_path, {"endless": endless, "bare": ch(), "text": np.array(["a"]), "list": [1.0]})
    found = read_pickle(path, WHAT)
    for name, message in (
        ("endless", "RecursionError"),
        ("bare", "damaged chumpy.ch.Ch"),
        ("text", "text is an array of <U1, expected an array of numbers"),
        ("list", "list is list, expected an array of numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            to_array(found[name], name)
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.pkl: expected a test's file"):
        read_pickle(tmp_path / "none.pkl", WHAT)
