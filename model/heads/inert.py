"""Objects of libraries that are not loaded, as a pickle stored them, and the arrays that they stand for."""

from typing import Any

import numpy as np
import torch


class Inert:
    """An object of a library that is not loaded: the class it claims, and the state it was stored with."""

    kind = ""

    def __setstate__(self, state: Any) -> None:
        self.state = state


def to_array(value: Any, name: str) -> np.ndarray:
    """Turn what `read_pickle` found into an array.

    Raises:
        ValueError: it is none, or a chumpy expression that no release contains; the message has `name`.
    """
    if isinstance(value, torch.Tensor):
        return value.detach().numpy()
    if isinstance(value, Inert):
        state = value.state if isinstance(getattr(value, "state", None), dict) else {}
        try:
            return _evaluate(value.kind, state, name)
        except (KeyError, TypeError, IndexError, AttributeError, MemoryError, RecursionError) as error:
            raise ValueError(f"{name}: a damaged {value.kind} ({type(error).__name__}: {error})") from None
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return value
    raise ValueError(f"{name} is {getattr(value, 'dtype', type(value).__name__)}, expected an array of numbers")


def _evaluate(kind: str, state: dict, name: str) -> np.ndarray:
    if kind == "chumpy.ch.Ch":
        return to_array(state["x"], name)
    if kind == "chumpy.reordering.Select":
        picked = to_array(state["a"], name).ravel()[to_array(state["idxs"], name).ravel().astype(np.int64)]
        return picked.reshape(state["preferred_shape"]) if "preferred_shape" in state else picked
    if kind == "scipy.sparse.csc_matrix":
        return _dense(state)
    raise ValueError(f"{name} is a {kind}, which cannot be evaluated without chumpy")


def _dense(state: dict) -> np.ndarray:
    """Fill in a compressed-sparse-column matrix."""
    values, rows, starts = (np.asarray(state[key]) for key in ("data", "indices", "indptr"))
    shape = tuple(int(n) for n in state["_shape" if "_shape" in state else "shape"])
    columns = np.repeat(np.arange(shape[1]), np.diff(starts))
    dense = np.zeros(shape, values.dtype)
    np.add.at(dense, (rows, columns), values)
    return dense
