"""Which tensors the released weights of each asset hold: taken from the networks that they are for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """What a released torch file holds.

    Attributes:
        tensors: builds the tensors by name, without numbers (on the device `meta`).
        part: key of the file under which they lie; empty where the file is the state itself.
        unused: beginning of the names of further tensors that the release holds and nobody reads.
        bare_of: beginning of all names that a file may leave out.
    """

    tensors: Callable[[], "Mapping[str, Tensor]"]
    part: str = ""
    unused: str = ""
    bare_of: str = ""


def _without_numbers(build: Callable[[], Any]) -> "dict[str, Tensor]":
    import torch

    with torch.device("meta"):
        return dict(build().state_dict())


def _inception() -> "Mapping[str, Tensor]":
    from torchvision.models import Inception3  # TensorFlow's network of 2015 has its names and shapes, and 1008 classes

    return _without_numbers(
        lambda: Inception3(num_classes=1008, aux_logits=False, transform_input=False, init_weights=False)
    )


def _alexnet() -> "Mapping[str, Tensor]":
    from torchvision.models import alexnet

    state = _without_numbers(lambda: alexnet(weights=None))
    return {key: value for key, value in state.items() if key.startswith("features.")}


def _vgg19() -> "Mapping[str, Tensor]":
    from torchvision.models import vgg19

    state = _without_numbers(lambda: vgg19(weights=None))
    return {key: value for key, value in state.items() if key.startswith("features.")}


def _fan() -> "Mapping[str, Tensor]":
    from face_alignment.models import FAN

    return _without_numbers(lambda: FAN(4))


def _s3fd() -> "Mapping[str, Tensor]":
    from face_alignment.detection.sfd.net_s3fd import s3fd

    return _without_numbers(s3fd)


def _deca() -> "Mapping[str, Tensor]":
    from model.trackers.deca import DecaEncoder

    return _without_numbers(DecaEncoder)


def _deep3d() -> "Mapping[str, Tensor]":
    from model.trackers.deep3d import Deep3dRegressor

    return _without_numbers(Deep3dRegressor)


LAYOUTS: dict[str, Layout] = {
    "inception": Layout(_inception),
    "lpips_alex": Layout(_alexnet, unused="classifier."),
    "vgg19": Layout(_vgg19, unused="classifier.", bare_of="features."),
    "fan": Layout(_fan),
    "s3fd": Layout(_s3fd),
    "deca": Layout(_deca, part="E_flame"),
    "deep3d": Layout(_deep3d, part="net_recon"),
}
