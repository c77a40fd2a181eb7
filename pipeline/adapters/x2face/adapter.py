"""X2Face is driven by the driving frame itself."""

from model.baselines.x2face.network import X2Face, X2FaceConfig
from pipeline.methods.image_driven import ImageDriven


class X2FaceAdapter(ImageDriven):
    """Its own crop, 1.6 times VGG's box of the face, is not rebuilt."""

    kind = X2Face
    config = X2FaceConfig
    notes = ("trained on a crop of its own (1.6 times a tight box), run in the shared one",)


ADAPTER = X2FaceAdapter
