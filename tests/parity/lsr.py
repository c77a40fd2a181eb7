"""LSR: the published tensors by TensorFlow name and shape, and the same function of them."""

import torch

from model.baselines.lsr.names import torch_state
from model.baselines.lsr.network import Lsr
from tests.parity.compare import Output
from tests.parity.golden import Fixture
from tests.parity.networks import PRECISIONS, compared, compared_input, drawn

MANIFEST = "lsr_tf_checkpoint"


@torch.no_grad()
def check(fixture: Fixture) -> list[Output]:
    """Every stored output, in float32 and in float64."""
    golden, fill = fixture.arrays(), fixture.golden.fill
    rows = fill.read_manifest(fixture.golden.manifests / f"{MANIFEST}.tsv")
    network = Lsr()
    network.load_state_dict(torch_state(fill.fill_state_dict(rows, fixture.seed, MANIFEST)))  # strict, both ways
    px = network.native_px
    names = ("source", "source_contour", "contour")
    seen, source_contour, contour = (drawn(fixture, name, px, low=-1) for name in names)
    outputs = [
        compared_input("input_source", seen, golden),
        compared_input("input_source_contour", source_contour, golden),
        compared_input("input_contour", contour, golden),
    ]
    for dtype in PRECISIONS:
        source, first, second = (((x.double() + 1) / 2).to(dtype) for x in (seen, source_contour, contour))
        made = network.eval().to(dtype)(source, {"source_contour": first, "driving_contour": second})
        outputs += compared("z_style", made.own.z_style, golden)
        outputs += compared("z_layout", made.own.z_layout, golden)
        outputs += compared("segmentation_logits", made.own.logits, golden)
        outputs += compared("aux_rgb", made.own.aux, golden)
        outputs += compared("image", made.image * 2 - 1, golden)
    return outputs
