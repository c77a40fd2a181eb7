"""Shape, expression, neck, jaw and each eye move what they should and nothing else, on every kind of head."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import pipeline.puppets
from model.heads.arrays import HeadArrays, load_arrays
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.releases.bfm import import_bfm
from model.releases.flame import import_flame
from model.releases.ict import import_ict, import_ict_face
from tests.helpers import shared
from tests.releases import bfm_variables, embedding_arrays, flame_arrays, write_embedding, write_flame

PUPPETS = Path(pipeline.puppets.__path__[0]) / "assets"
KINDS = ("flame", "bfm", "ict", "ict_face", "puppet", "puppet_face")
JOINTED = ("flame", "puppet")
FEW = 4  # codes kept of each basis: enough for differences


def flame(folder: Path) -> HeadArrays:
    """FLAME without pose correctives, which move every vertex a little with any joint."""
    arrays = flame_arrays()
    arrays["posedirs"] *= 0
    model = write_flame(folder / "generic_model.pkl", arrays)
    return import_flame(model, write_embedding(folder / "landmark_embedding.npy", embedding_arrays(arrays)))


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """A head of each kind by name, made when first asked for."""
    made: dict[str, HeadModel] = {}

    def head(kind: str) -> HeadModel:
        if kind not in made:
            arrays = {
                "flame": lambda: flame(tmp_path_factory.mktemp("flame")),
                "bfm": lambda: import_bfm("BFM_model_front.mat", bfm_variables()),
                "ict": lambda: import_ict(shared("ict_facekit/ict_facekit.npz")),
                "ict_face": lambda: import_ict_face(shared("ict_facekit/ict_facekit.npz")),
                "puppet": lambda: load_arrays(PUPPETS / "puppet.npz"),
                "puppet_face": lambda: load_arrays(PUPPETS / "puppet_face.npz"),
            }[kind]()
            made[kind] = HeadModel(arrays).double()
        return made[kind]

    return head


def rest(head: HeadModel) -> dict[str, torch.Tensor]:
    counts = {"shape": head.num_shape, "expression": head.num_expression, "pose": head.num_pose}
    return {codes: head.template.new_zeros(1, count) for codes, count in counts.items()}


def owned(head: HeadModel, joint: str) -> torch.Tensor:
    """Vertices (V,) that a joint or one that hangs on it moves."""
    names, parents = head.arrays.joint_names.tolist(), head.arrays.joint_parents.tolist()
    chosen = {names.index(joint)}
    for number, parent in enumerate(parents):
        if parent in chosen:
            chosen.add(number)
    return head.skin_weights[:, sorted(chosen)].sum(1) > 0


def moved(head: HeadModel, **codes: torch.Tensor) -> torch.Tensor:
    """How far (V,) each vertex goes from the mean head, as a share of the head's height."""
    still = head.vertices(**rest(head))
    height = (still[0, :, 1].max() - still[0, :, 1].min()).item()
    return (head.vertices(**(rest(head) | codes)) - still)[0].norm(dim=-1) / height


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("codes", ["shape", "expression"])
def test_a_code_adds_its_own_direction_of_the_basis(heads, kind, codes, on_device):
    head = on_device(heads(kind))
    basis = on_device(torch.from_numpy(getattr(head.arrays, f"{codes}_basis")).double())
    still = head.vertices(**rest(head))
    for number in (0, len(basis) - 1):
        one = on_device(torch.zeros(1, len(basis), dtype=torch.float64))
        one[0, number] = 0.5
        offset = (head.vertices(**(rest(head) | {codes: one})) - still)[0]
        assert offset.abs().max() > 0
        torch.testing.assert_close(offset, 0.5 * basis[number], atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_root_turns_the_whole_head_rigidly(heads, kind, on_device):
    head = on_device(heads(kind))
    pose = rest(head)["pose"].clone()
    pose[0, :3] = on_device(torch.tensor([0.2, -0.5, 0.3]))
    still, turned = (head.vertices(**(rest(head) | {"pose": p}))[0] for p in (rest(head)["pose"], pose))
    rotation = head.head_rotation(pose)[0]
    expected = (still - still.mean(0)) @ rotation.T
    torch.testing.assert_close(turned - turned.mean(0), expected, atol=1e-6, rtol=1e-5)  # float32 weights


@pytest.mark.parametrize("kind", JOINTED)
@pytest.mark.parametrize("joint", ["neck", "jaw", "eye_left", "eye_right"])
def test_a_joint_moves_what_hangs_on_it_and_nothing_else(heads, kind, joint, on_device):
    head = on_device(heads(kind))
    first = 3 * head.arrays.joint_names.tolist().index(joint)
    pose = rest(head)["pose"].clone()
    pose[0, first : first + 3] = on_device(torch.tensor([0.2, 0.3, 0.0]))
    distance, mine = moved(head, pose=pose), owned(head, joint)
    assert mine.any()
    assert (~mine).any()
    assert distance[mine].max() > 1e-3
    assert distance[~mine].max() < 1e-9


@pytest.mark.parametrize("kind", JOINTED)
def test_each_eye_is_on_its_own_side_and_the_jaw_is_below(heads, kind, on_device):
    head = on_device(heads(kind))
    centre = {joint: head.template[owned(head, joint)].mean(0) for joint in ("eye_left", "eye_right", "jaw")}
    assert centre["eye_left"][0] > 0 > centre["eye_right"][0]  # the person's left is the viewer's right
    assert centre["jaw"][1] < centre["eye_left"][1]


@pytest.mark.parametrize("kind", ["ict", "ict_face"])
def test_ict_opens_its_jaw_by_an_expression(heads, kind, on_device):
    head = on_device(heads(kind))
    one = rest(head)["expression"].clone()
    one[0, head.arrays.expression_names.tolist().index("jawOpen")] = 1.0
    still, opened = (head.landmarks_of(head.vertices(**(rest(head) | {"expression": e})))[0]
                     for e in (rest(head)["expression"], one))  # fmt: skip
    assert opened[8, 1] < still[8, 1] - 1  # the chin falls by centimetres
    torch.testing.assert_close(opened[19], still[19], atol=0.05, rtol=0)  # the brow stays


@pytest.mark.parametrize("kind", KINDS)
def test_joints_that_a_head_lacks_cannot_be_posed(heads, kind):
    head = heads(kind)
    other = torch.zeros(1, 15 if head.num_joints == 1 else 3, dtype=torch.float64)
    with pytest.raises(
        ValueError, match=f"head {kind}: pose has {other.shape[1]} codes, this head has {head.num_pose}"
    ):
        head.vertices(**(rest(head) | {"pose": other}))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_agree_with_finite_differences(heads, kind, on_device):
    arrays = on_device(heads(kind)).arrays
    few = slice(0, FEW)
    names = ("shape_basis", "expression_basis", "expression_names", "expression_low", "expression_high")
    head = on_device(HeadModel(replace(arrays, **{name: getattr(arrays, name)[few] for name in names})).double())
    g = torch.Generator().manual_seed(0)
    camera = on_device(
        torch.tensor([[0.1, -0.1, -1.0]] if head.perspective else [[0.1, 0.2, -0.3]], dtype=torch.float64)
    )
    whole = on_device(torch.tensor([[0.9, 0.1, 0.0, 0, 1.1, 0.2]], dtype=torch.float64))
    inputs = [0.2 * on_device(torch.randn(1, n, generator=g, dtype=torch.float64)) for n in (FEW, FEW, head.num_pose)]
    inputs = [t.requires_grad_() for t in (*inputs, camera)]
    assert torch.autograd.gradcheck(head.vertices, inputs[:3], fast_mode=True)
    assert torch.autograd.gradcheck(lambda *c: head.place(HeadFit(*c, whole)), inputs, fast_mode=True)
    assert torch.autograd.gradcheck(lambda *c: head.place_landmarks(HeadFit(*c, whole)), inputs)
