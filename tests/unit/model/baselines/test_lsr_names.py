"""LSR's TensorFlow names and layouts: every tensor is found, turned right, and nothing else is taken."""

import re

import numpy as np
import pytest
import torch

from model.baselines.lsr.names import SUFFIX, is_weight, tensorflow_name, torch_state
from model.baselines.lsr.network import Lsr, LsrConfig
from tests.helpers import shared
from tests.parity.golden import Golden
from tests.published_networks import tensors_of

SMALL = LsrConfig(native_px=14, style=6, classes=5, channels=4, most=8, levels=1, spade_hidden=4)
OTHERS = {
    f"discriminator/blocks/0/kernel{SUFFIX}": np.zeros((1, 1, 6, 4), np.float32),
    f"encoder/fc_z/kernel/.OPTIMIZER_SLOT/g_optimizer/m{SUFFIX}": np.zeros((8, 6), np.float32),
    f"global_step{SUFFIX}": np.int64(1234),
    "_CHECKPOINTABLE_OBJECT_GRAPH": np.array(b"graph"),
}


def checkpoint() -> dict[str, np.ndarray]:
    """A small checkpoint in TensorFlow's layout, with what training leaves beside the weights."""
    rng = np.random.default_rng(0)
    arrays = dict(OTHERS)
    for name, shape in tensors_of(lambda: Lsr(SMALL)).items():
        if len(shape) == 4:
            shape = (*shape[2:], shape[1], shape[0])
        arrays[tensorflow_name(name)] = rng.standard_normal(shape[::-1] if len(shape) == 2 else shape).astype("f4")
    return arrays


def test_the_names_are_the_published_ones():
    rows = Golden(shared("golden")).fill.read_manifest(shared("manifests/lsr_tf_checkpoint.tsv"))
    published = {key: sorted(shape) for key, shape, _ in rows}
    assert {tensorflow_name(name): sorted(shape) for name, shape in tensors_of(Lsr).items()} == published
    assert all(is_weight(key) for key in published)


@pytest.mark.parametrize(("ours", "theirs"), [
    ("encoder.blocks.2.conv_block0.weight", "encoder/blocks/2/conv_block0/layer_with_weights-0/kernel"),
    ("layout_encoder.blocks.10.shortcut.weight", "layout_encoder/blocks/10/shortcut/layer_with_weights-0/kernel"),
    ("encoder.blocks.0.bias", "encoder/blocks/0/bias"),
    ("generator.blocks.6.shortcut.conv.weight", "generator/blocks/6/shortcut/conv/kernel"),
    ("layout_generator.decoder_blocks.1.resblock_up_fn.norm0.dense.bias",
     "layout_generator/decoder_blocks/1/resblock_up_fn/norm0/dense/bias"),
])  # fmt: skip
def test_a_name_leads_to_its_tensor(ours, theirs):
    assert tensorflow_name(f"network.{ours}") == theirs + SUFFIX


def test_a_checkpoint_fills_the_network_and_nothing_beside_it_is_read():
    class Lazy(dict):
        def __getitem__(self, key):
            assert key not in OTHERS
            return super().__getitem__(key)

    arrays = checkpoint()
    state = torch_state(Lazy(arrays), SMALL)
    network = Lsr(SMALL)
    network.load_state_dict(state, strict=True)
    assert all(value.dtype == torch.float32 and value.is_contiguous() for value in state.values())

    kernel = arrays[f"encoder/blocks/0/kernel{SUFFIX}"]  # height, width, in, out
    conv = network.network.encoder.blocks["0"].weight
    assert conv[3, 5, 1, 6].item() == kernel[1, 6, 5, 3]
    dense = arrays[f"encoder/fc_z/kernel{SUFFIX}"]  # in, out
    assert network.network.encoder.fc_z.weight[4, 7].item() == dense[7, 4]
    state["network.encoder.fc_z.weight"][0, 0] = 99
    assert dense[0, 0] != 99


def test_the_dense_layers_read_and_write_rows_then_columns_then_channels():
    arrays = checkpoint()
    network = Lsr(SMALL)
    network.load_state_dict(torch_state(arrays, SMALL))
    seen = torch.rand(1, 6, 14, 14) * 2 - 1
    with torch.no_grad():
        last = network.network.encoder.blocks["4"]
        kept = []
        last.register_forward_hook(lambda _module, _given, made: kept.append(made))
        code = network.network.encoder(seen)[0].numpy()
    flat = kept[0][0].clamp(min=0).permute(1, 2, 0).numpy().reshape(-1)
    kernel, bias = (arrays[f"encoder/fc_z/{leaf}{SUFFIX}"] for leaf in ("kernel", "bias"))
    np.testing.assert_allclose(code, flat @ kernel * np.sqrt(2 / len(flat)) + bias, atol=1e-4)


@pytest.mark.parametrize(("change", "message"), [
    ({"encoder/fc_z/bias": None}, r"1 tensors are absent from the checkpoint: encoder/fc_z/bias$"),
    ({"generator/blocks/99/bias": np.zeros(3, np.float32)}, r"1 tensors are not LSR's: generator/blocks/99/bias$"),
    ({"generator/to_rgb/bias": np.zeros(4, np.float32)}, r"1 tensors are of another .*to_rgb/bias is float32 \(4,\)"),
    ({"generator/to_rgb/bias": np.zeros(3, np.float64)}, r"to_rgb/bias is float64 \(3,\)"),
    ({"generator/to_rgb/kernel": np.zeros((3, 4, 3, 3), np.float32)}, r"to_rgb/kernel is float32 \(3, 4, 3, 3\)"),
    ({"generator/to_rgb/bias": np.zeros((), np.float32)}, r"to_rgb/bias is float32 \(\)"),
])  # fmt: skip
def test_another_checkpoint_is_refused_with_the_difference(change, message):
    arrays = checkpoint()
    for name, value in change.items():
        arrays.pop(name + SUFFIX, None)
        if value is not None:
            arrays[name + SUFFIX] = value
    with pytest.raises(ValueError, match=message):
        torch_state(arrays, SMALL)


def test_an_error_names_ten_tensors_and_counts_all():
    with pytest.raises(ValueError, match=r"not the checkpoint of this LSR: \d+ tensors are absent") as error:
        torch_state(OTHERS, SMALL)
    listed = str(error.value).split("checkpoint: ")[1].split(", ")
    assert len(listed) == 10
    assert re.search(r"LSR: (\d+)", str(error.value))[1] == str(len(tensors_of(lambda: Lsr(SMALL))))
