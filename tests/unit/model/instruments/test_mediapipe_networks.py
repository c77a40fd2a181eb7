"""BlazeFace and the face mesh: padding, their weights in a file, LiteRT as the oracle, and faces out of numbers."""

import numpy as np
import pytest
import torch

from model.instruments import blazeface, face_mesh
from model.instruments.mobile_blocks import DepthwiseBlock, SameConv
from pipeline.puppets.render import Camera
from tests.puppet_studio import codes, person, studio
from tests.tflite_files import released, write_tflite

NETWORKS = {
    "blazeface": (blazeface, blazeface.BlazeFace, 128, -1.0),
    "face_mesh": (face_mesh, face_mesh.FaceMesh, 192, 0.0),
}


@pytest.mark.parametrize(("kernel", "stride", "size"), [(3, 1, 6), (3, 2, 6), (3, 2, 7), (5, 2, 8), (1, 1, 5)])
def test_padding_is_tensorflows(kernel, stride, size, on_device):
    torch.manual_seed(0)
    conv = on_device(SameConv(2, 3, kernel, stride).double())
    x = torch.randn(1, 2, size, size + 2, dtype=torch.float64)
    out = conv(on_device(x))[0].detach().cpu().numpy()
    weight, bias = (value.detach().cpu().numpy() for value in (conv.weight, conv.bias))
    shape = [-(-side // stride) for side in x.shape[2:]]
    assert out.shape == (3, *shape)
    before = [max((n - 1) * stride + kernel - side, 0) // 2 for n, side in zip(shape, x.shape[2:], strict=True)]
    for row in range(shape[0]):
        for column in range(shape[1]):
            total = bias.copy()
            for i in range(kernel):
                for j in range(kernel):
                    y, z = row * stride + i - before[0], column * stride + j - before[1]
                    if 0 <= y < x.shape[2] and 0 <= z < x.shape[3]:
                        total += weight[:, :, i, j] @ x[0, :, y, z].numpy()
            assert np.allclose(out[:, row, column], total, atol=1e-12)


def test_a_block_that_widens_and_halves_keeps_what_it_saw(placed):
    block = placed(DepthwiseBlock(2, 5, 2, torch.nn.ReLU()))
    for value in block.parameters():
        torch.nn.init.zeros_(value)
    x = placed(torch.rand(1, 2, 4, 6))
    out = block(x)
    assert out.shape == (1, 5, 2, 3)
    assert torch.equal(out[:, :2], torch.nn.functional.max_pool2d(x, 2))
    assert not out[:, 2:].any()


def stored(name: str, seed: int = 0) -> tuple[dict[str, np.ndarray], dict[str, torch.Tensor]]:
    """What a file of a network with random weights holds, laid out by TensorFlow's rule, and its state here."""
    module, build, _, _ = NETWORKS[name]
    torch.manual_seed(seed)
    network = build()
    grouped = {f"{key}.weight" for key, part in network.named_modules() if getattr(part, "groups", 1) > 1}
    state, held = network.state_dict(), {}
    for ours, theirs in module.places():
        values = state[ours].half().numpy()
        state[ours] = state[ours].half().float()
        if theirs.endswith("/Kernel"):
            out, inputs, height, width = values.shape
            shape = (1, height, width, out) if ours in grouped else (out, height, width, inputs)
            laid = np.empty(shape, np.float16)
            for o, i, y, x in np.ndindex(values.shape):
                laid[(0, y, x, o) if ours in grouped else (o, y, x, i)] = values[o, i, y, x]
            values = laid
        held[theirs] = values[None, None] if theirs.endswith("/Alpha") else values
    return held, state


def write(path, held: dict[str, np.ndarray]):
    wide = {f"{name}_wide": array.shape for name, array in held.items()}
    steps = [("DEQUANTIZE", [name], [f"{name}_wide"]) for name in held]
    write_tflite(path, held, wide, steps)
    return path


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_are_read_into_their_places_and_other_files_are_refused(name, tmp_path):
    module, build, _, _ = NETWORKS[name]
    held, state = stored(name)
    found = module.convert(write(tmp_path / "a.tflite", held))
    assert found.keys() == state.keys()
    for key, values in state.items():
        assert torch.equal(found[key], values), key
    build().load_state_dict(found)
    changed = dict(held)
    missing, _ = changed.popitem()
    with pytest.raises(ValueError, match=rf"b\.tflite is not MediaPipe's .*: it lacks {missing}"):
        module.convert(write(tmp_path / "b.tflite", changed))
    key = next(key for key in held if key.endswith("/Kernel"))
    changed = held | {key: held[key][:, :, :, :2].copy()}
    with pytest.raises(ValueError, match=rf"b\.tflite is not MediaPipe's .*: {key} is .* where .* belongs"):
        module.convert(write(tmp_path / "b.tflite", changed))


def test_one_network_is_not_taken_for_the_other(tmp_path):
    path = write(tmp_path / "mesh.tflite", stored("face_mesh")[0])
    with pytest.raises(ValueError, match=r"mesh\.tflite is not MediaPipe's short-range BlazeFace"):
        blazeface.convert(path)


@pytest.mark.parametrize("name", NETWORKS)
@torch.inference_mode()
def test_images_of_a_batch_do_not_see_each_other(name, on_device):
    _, build, size, low = NETWORKS[name]
    torch.manual_seed(1)
    network = on_device(build().double().eval())
    img = on_device(torch.rand(3, 3, size, size, dtype=torch.float64) * (1 - low) + low)
    together = network(img)
    for row in range(3):
        for alone, both in zip(network(img[[row]]), together, strict=True):
            assert torch.allclose(alone[0], both[row], atol=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
@torch.inference_mode()
def test_the_released_network_agrees_with_litert(name):
    interpreters = pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT is not installed")
    path = released(f"{name}.tflite")
    module, build, size, low = NETWORKS[name]
    network = build().eval()
    network.load_state_dict(module.convert(path))
    interpreter = interpreters.Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    who, frame_map = person(5), np.array([1.3, 0, 0, 0, 1.3, 0.1], np.float32)
    film, actor = Camera(studio()).film, studio().dress(who)
    faces = [film(actor, *codes(who, yaw).values(), (size, size), frame_map)[0].image for yaw in (-30, 0, 15)]
    images = np.stack(faces).astype(np.float32) / 255 * (1 - low) + low
    ours = network(torch.from_numpy(images).permute(0, 3, 1, 2))
    for row, image in enumerate(images):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        theirs = [interpreter.get_tensor(out["index"]).ravel() for out in interpreter.get_output_details()]
        for values in ours:
            flat = values[row].numpy().ravel()
            oracle = next(other for other in theirs if other.size == flat.size)
            assert np.abs(flat - oracle).max() < 1e-4


def test_anchors_are_the_cells_of_both_grids():
    centres = blazeface.anchors()
    assert centres.shape == (896, 2)
    assert centres[0].tolist() == centres[1].tolist() == [4, 4]
    assert centres[2].tolist() == [12, 4]
    assert centres[32].tolist() == [4, 12]
    assert centres[511].tolist() == [124, 124]
    assert (centres[512:518] == [8, 8]).all()
    assert centres[-1].tolist() == [120, 120]


def raw_of(faces: dict[int, tuple[float, float, float, float]]) -> np.ndarray:
    """The network's numbers for boxes (left, top, right, bottom) at some anchors; points at the box's centre."""
    raw, centres = np.zeros((896, 16), np.float32), blazeface.anchors()
    for anchor, (left, top, right, bottom) in faces.items():
        centre = np.array([(left + right) / 2, (top + bottom) / 2])
        raw[anchor, :4] = [*(centre - centres[anchor]), right - left, bottom - top]
        raw[anchor, 4:] = np.tile(centre - centres[anchor], 6)
    return raw


def test_boxes_of_one_face_become_their_weighted_mean():
    logits = np.full(896, -20.0, np.float32)
    logits[[600, 10, 300]] = np.log([9.0, 4.0, 1.5])  # scores 0.9, 0.8 and 0.6
    raw = raw_of({600: (20, 20, 60, 60), 10: (24, 20, 64, 60), 300: (90, 80, 120, 110)})
    found = blazeface.decode(raw, logits)
    assert found.score == pytest.approx([0.9, 0.6])
    share = 0.8 / 1.7
    assert np.allclose(found.low, [[20 + 4 * share, 20], [90, 80]], atol=1e-4)
    assert np.allclose(found.high, [[60 + 4 * share, 60], [120, 110]], atol=1e-4)
    assert np.allclose(found.points[1], [[105, 95]] * 6, atol=1e-4)
    placed = found.placed(np.array([[2.0, 0, 5], [0, 2.0, -1]]))
    assert np.allclose(placed.low[1], [185, 159], atol=1e-3)
    assert len(blazeface.decode(raw, np.full(896, -20.0, np.float32)).score) == 0
    assert blazeface.decode(raw, logits, min_score=0.95).points.shape == (0, 6, 2)
