"""The published systems whose released weights can be imported: where each file keeps them, and what they must be.

Which tensors a network has follows from the network itself, built without numbers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Kind = tuple[tuple[int, ...], str]  # a tensor's sides and type


@dataclass(frozen=True)
class Place:
    """Where in a file the tensors of a part lie.

    Attributes:
        under: keys of the file that lead to them; none where the file is them.
        prefix: beginning of their names there.
    """

    under: tuple[str, ...] = ()
    prefix: str = ""


@dataclass(frozen=True)
class System:
    """A published system.

    Attributes:
        network: its class, `module:Class`; the class `ClassConfig` beside it is its configuration.
        parts: attribute of the network -> where its tensors may lie in a torch file, the best place first.
        variants: released configuration -> settings that differ from the class's defaults; the tables' one comes first.
        one_file: whether all parts lie in one file; else each has its own.
        tensorflow: whether the release is a folder of TensorFlow.
        release: tells from a file's content which release it is, where several share a configuration.
        notes: what is said after the import, by variant or release; "" stands for all.
    """

    network: str
    parts: Mapping[str, tuple[Place, ...]] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"": {}})
    one_file: bool = True
    tensorflow: bool = False
    release: Callable[[Any], str] | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


def _vox_or_adv(content: Any) -> str:
    """FOMM's releases differ in the discriminator alone: that of vox-adv sees the ten keypoints beside the image."""
    judge = content.get("discriminator")
    for key, tensor in judge.items() if isinstance(judge, Mapping) else ():
        if "down_blocks.0.conv.weight" in str(key) and len(getattr(tensor, "shape", ())) == 4:
            return {3: "vox", 13: "vox-adv"}.get(tensor.shape[1], "")
    return ""


SYSTEMS: dict[str, System] = {
    "fomm": System(
        "model.baselines.fomm:Fomm",
        {name: (Place((name,)),) for name in ("generator", "kp_detector")},
        release=_vox_or_adv,
        notes={"vox-adv": "this is vox-adv; FOMM's own tables use vox"},
    ),
    "fomm3d": System(
        "model.baselines.fomm3d:Fomm3d",
        {name: (Place((name,)),) for name in ("generator", "kp_detector", "he_estimator")},
        variants={"New": {}, "Beta": {"decoder": "original", "kp_scale": 1.0}},
        notes={"Beta": "this is Vox-256-Beta, with the original decoder; published comparisons use Vox-256-New"},
    ),
    "pirender": System(
        "model.baselines.pirender:PIRender",
        {"generator": (Place(("net_G_ema",)), Place(("net_G",)))},
    ),
    "x2face": System(
        "model.baselines.x2face:X2Face",
        {
            "unwrapped": (Place(("state_dict",), "pix2pixUnwrapped."),),
            "sampler": (Place(("state_dict",), "pix2pixSampler."),),
        },
    ),
    "headgan": System(
        "model.baselines.headgan:HeadGan",
        {"generator": (Place(),)},
        variants={"without audio": {}, "audio": {"audio": 300}},
        notes={
            "": "the released HeadGAN was trained on pictures of LSFM, not of FLAME: a demonstration, no table's row",
            "audio": "this is HeadGAN with audio, which asks for 300 numbers of sound a frame",
        },
    ),
    "bilayer": System(
        "model.baselines.bilayer:BiLayer",
        {
            name: (Place(),)
            for name in (
                "identity_embedder", "texture_generator", "keypoints_embedder", "inference_generator",
                "texture_enhancer",
            )
        },
        one_file=False,
    ),
    "lsr": System("model.baselines.lsr:Lsr", tensorflow=True),
}  # fmt: skip


def network_of(name: str, variant: str = "") -> "torch.nn.Module":
    """Build a system's network in one of its released configurations, by default the first."""
    system = SYSTEMS[name]
    module, _, kind = system.network.partition(":")
    found = import_module(module)
    config = getattr(found, f"{kind}Config")(**system.variants[variant or next(iter(system.variants))])
    network: torch.nn.Module = getattr(found, kind)(config)
    return network


@cache
def layout(name: str, variant: str = "") -> dict[str, Kind]:
    """Names, sides and types of all tensors of a system, `part.key`."""
    import torch

    with torch.device("meta"):
        state = network_of(name, variant).state_dict()
    return {key: kind_of(tensor) for key, tensor in state.items()}


def kind_of(tensor: Any) -> Kind:
    """Sides and type of a tensor, or of one that has not been read."""
    return tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")
