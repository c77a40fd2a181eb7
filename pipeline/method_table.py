"""Every published system by name, in the order of the paper's Table 1, with the name that it has there.

A method's own files lie in rooms of its name: `model/baselines/NAME` (network) and `pipeline/adapters/NAME` (what
drives it, what its release looks like). Stages find them by that name, so that this table decides on no result.
"""

from collections.abc import Mapping
from types import MappingProxyType

OURS = "pwm"  # the method of this project, model/pwm and pipeline/adapters/pwm
BASELINES: Mapping[str, str] = MappingProxyType(
    {
        "x2face": "X2Face",
        "bilayer": "Bi-Layer",
        "lsr": "LSR",
        "fomm": "FOMM",
        "fomm3d": "3D-FOMM",
        "headgan": "HeadGAN",
        "pirender": "PIRender",
    }
)
METHODS = (OURS, *BASELINES)
RETRAINED = ("headgan",)  # systems that the paper trained itself (section 4.1); of the others it shows released weights
