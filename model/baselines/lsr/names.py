"""LSR's released checkpoint in TensorFlow's names and layouts -> the state of our network.

Source: MoustafaMeshry/lsr at a9a6643, saved by TensorFlow's object checkpoints: a tensor's name is the way of
attributes that leads to it. Ours follow the same ways, so a name of ours says what the name there is.

Convention: TensorFlow stores kernels as (height, width, in, out) and those of dense layers as (in, out); torch has
(out, in, height, width) and (out, in). Rows, columns and channels of a flattened image keep TensorFlow's order, which
the network itself minds.
"""

import re
from collections.abc import Collection, Mapping

import numpy as np
import torch
from torch import Tensor

from model.baselines.lsr.network import Lsr, LsrConfig

NETWORKS = ("encoder", "generator", "layout_encoder", "layout_generator")
PREFIX = "network."
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
SLOT = "/.OPTIMIZER_SLOT/"  # what an optimizer keeps of a weight stands below the weight's own name
IN_SEQUENTIAL = re.compile(r"^(?:layout_)?encoder/blocks/\d+/(?:conv_block\d|shortcut)(?=/)")
AXES = {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}  # torch's axes in TensorFlow's array, by number of axes
NAMED = 10  # keys that an error lists


def tensorflow_name(name: str) -> str:
    """Name in the checkpoint of a tensor of `Lsr`'s state.

    Example: network.encoder.blocks.2.conv_block0.weight ->
        encoder/blocks/2/conv_block0/layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE
    """
    path = name.removeprefix(PREFIX).replace(".", "/")
    path = IN_SEQUENTIAL.sub(r"\g<0>/layer_with_weights-0", path)  # Keras wraps these in a sequence of one
    return re.sub("/weight$", "/kernel", path) + SUFFIX


def is_weight(key: str) -> bool:
    """Whether a checkpoint's key is a weight of the four networks: no discriminator, optimizer or counter."""
    return key.split("/")[0] in NETWORKS and key.endswith(SUFFIX) and SLOT not in key


def torch_state(tensors: Mapping[str, np.ndarray], config: LsrConfig | None = None) -> dict[str, Tensor]:
    """Turn a checkpoint's tensors into `Lsr(config)`'s state dict.

    Args:
        tensors: arrays of the checkpoint by their TensorFlow names. What belongs to no network (`is_weight`) is not
            looked at; of a lazy mapping no such array is read.
        config: sizes that they are to have; by default the released ones.

    Returns:
        float32 tensors, contiguous, by our names; all of them and no others.

    Raises:
        ValueError: a weight is absent, unknown, or of another shape or type; the message has the first ten names.
    """
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in Lsr(config).state_dict().items()}
    keys = {name: tensorflow_name(name) for name in shapes}
    given = {key for key in tensors if is_weight(key)}
    _refuse("absent from the checkpoint", sorted(set(keys.values()) - given))
    _refuse("not LSR's", sorted(given - set(keys.values())))
    state, unlike = {}, []
    for name, key in keys.items():
        array = tensors[key]
        turned = array.transpose(AXES[array.ndim]) if array.ndim in AXES else array
        if turned.shape != shapes[name] or array.dtype != np.float32:
            unlike.append(f"{key} is {array.dtype} {array.shape}")
            continue
        state[name] = torch.from_numpy(np.array(turned, order="C"))
    _refuse("of another shape or type", unlike)
    return state


def _refuse(what: str, keys: Collection[str]) -> None:
    if keys:
        listed = ", ".join(key.replace(SUFFIX, "") for key in list(keys)[:NAMED])
        raise ValueError(f"not the checkpoint of this LSR: {len(keys)} tensors are {what}: {listed}")
