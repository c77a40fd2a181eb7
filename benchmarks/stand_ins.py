"""Files laid out as released weights are, with one number in place of all of a tensor's: small, and right in shape."""

from pathlib import Path

import numpy as np
import torch

from pipeline.tools.weight_layouts import LAYOUTS

EMBEDDING = 8


def asset_state(name: str, value: float = 0.5) -> dict:
    """What the released file of a torch asset holds."""
    layout = LAYOUTS[name]
    state = {
        key: torch.full((1,) * wanted.dim(), value, dtype=wanted.dtype).expand(wanted.shape)
        for key, wanted in layout.tensors().items()
    }
    return {layout.part: state} if layout.part else state


def write_release(path: Path, name: str, value: float = 0.5) -> Path:
    """Write a file that is recognised as asset `name`; files of two values differ."""
    if name == "arcface":
        write_onnx(path, value=value)
    else:
        torch.save(asset_state(name, value), path)
    return path


def write_onnx(path: Path, face_px: int = 112, value: float | np.ndarray = 0.5) -> None:
    """Write a network that averages a face's three planes and multiplies them by one matrix, of `value` everywhere."""
    from onnx import TensorProto, helper, numpy_helper, save

    matrix = numpy_helper.from_array(np.full((3, EMBEDDING), value, np.float32), "matrix")
    nodes = [
        helper.make_node("GlobalAveragePool", ["face"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["embedding"]),
    ]
    face = helper.make_tensor_value_info("face", TensorProto.FLOAT, [None, 3, face_px, face_px])
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [None, EMBEDDING])
    graph = helper.make_graph(nodes, "embed", [face], [embedding], [matrix])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
