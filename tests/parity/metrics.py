"""The metrics' arithmetic: FID, AKD, and the alignment of CSIM."""

import numpy as np
import torch

from model.frame.alignment import TEMPLATE_112_PX, five_points, similarity_to
from pipeline.metrics.akd import KeypointDistance
from pipeline.metrics.backends.pixels import Pixels
from pipeline.metrics.fid import frechet_distance
from tests.parity.compare import Output, compare
from tests.parity.golden import Fixture

FID_RTOL = 1e-6
SINGULAR_ROWS = 40


def check(fixture: Fixture) -> list[Output]:
    """All of the fixture but `akd_per_point_l2`, which is what AKD is not."""
    golden = fixture.arrays()
    a, b = golden["fid_features_a"], golden["fid_features_b"]
    few = frechet_distance(a[:SINGULAR_ROWS], b[:SINGULAR_ROWS])
    valid = golden["akd_generated_valid"]
    flat = [golden[f"akd_{name}"][valid].reshape(-1, 136) for name in ("generated", "reference")]
    marks = torch.from_numpy(golden["csim_landmarks"])
    five = five_points(marks)
    template = torch.tensor(TEMPLATE_112_PX, dtype=torch.float64)
    return [
        compare("fid", frechet_distance(a, b), golden["fid"], FID_RTOL * golden["fid"]),
        compare("fid_first40", few, golden["fid_first40_eig"], FID_RTOL * golden["fid_first40_eig"]),
        compare("akd", np.mean(KeypointDistance(Pixels()).compare(*flat)), golden["akd"], 1e-9),
        compare("csim_five", five, golden["csim_five"], 1e-9),
        compare("csim_template", template, golden["csim_template"], 1e-9),
        compare("csim_matrix", similarity_to(five, template.expand_as(five)), golden["csim_matrix"], 1e-6),
        compare(
            "csim_matrix_68",
            similarity_to(marks, marks[:1].expand_as(marks)),
            golden["csim_matrix_68_to_first"],
            1e-6,
        ),
    ]
