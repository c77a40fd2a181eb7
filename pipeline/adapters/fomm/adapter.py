"""FOMM is driven by the driving frame itself."""

from model.baselines.fomm.network import Fomm, FommConfig
from pipeline.methods.image_driven import ImageDriven


class FommAdapter(ImageDriven):
    """The shared crop is FOMM's own."""

    kind = Fomm
    config = FommConfig
    notes = (
        "keypoints are absolute, for identities that differ too: a pair has no first driving frame to be relative to",
    )


ADAPTER = FommAdapter
