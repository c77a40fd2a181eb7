"""3D-FOMM is driven by the driving frame itself: its pose and expression, on the source's canonical keypoints."""

from model.baselines.fomm3d.network import Fomm3d, Fomm3dConfig
from pipeline.methods.image_driven import ImageDriven


class Fomm3dAdapter(ImageDriven):
    """The shared crop is its own."""

    kind = Fomm3d
    config = Fomm3dConfig
    notes = ("the unofficial implementation that the paper compares with; the authors' own was never published",)


ADAPTER = Fomm3dAdapter
