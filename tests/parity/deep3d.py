"""Deep3DFaceRecon: alignment by five points, ArcFace's norm matrix, and the perspective camera."""

import numpy as np
import torch

from model.frame.alignment import TEMPLATE_112_PX, similarity_to
from model.heads.camera import DEEP3D_CENTRE_PX, DEEP3D_DISTANCE, deep3d_perspective
from model.heads.rotation import euler_to_matrix
from pipeline.trackers.deep3d_crop import (
    CROP_PX,
    HALF_PX,
    TEMPLATE,
    cut,
    find_crop,
    five_points_up,
    landmarks_in_crop,
)
from tests.parity.compare import Output, at_the_fitting_seed, compare
from tests.parity.golden import Fixture

SAMPLES = slice(4, None, 8)


def check(fixture: Fixture) -> list[Output]:
    """Alignment and camera."""
    golden = fixture.arrays()
    return [*_alignment(fixture, golden), *_camera(golden)]


def _alignment(fixture: Fixture, golden: dict[str, np.ndarray]) -> list[Output]:
    marks_px = golden["landmarks"] + HALF_PX
    sizes = list(zip(golden["image_height"].tolist(), golden["image_width"].tolist(), strict=True))
    crops = [find_crop(marks, size) for marks, size in zip(marks_px, sizes, strict=True)]
    placed = np.stack([landmarks_in_crop(marks, crop) for marks, crop in zip(marks_px, crops, strict=True)])
    # The published landmarks run y up; flipping them as if they ran down gives the y down that ArcFace expects.
    five = np.stack([five_points_up(marks + HALF_PX, CROP_PX) for marks in placed])
    template = torch.tensor(TEMPLATE_112_PX, dtype=torch.float64).expand(len(five), 5, 2)

    def aligned(seed: int) -> list[Output]:
        images = [fixture.image_u8(f"geometry/deep3d_image_{i}", *size, seed) for i, size in enumerate(sizes)]
        found = [cut(image, crop)[SAMPLES, SAMPLES] for image, crop in zip(images, crops, strict=True)]
        return [compare("aligned", np.stack(found), golden["aligned"], 1)]

    return [
        compare("lm3d", TEMPLATE, golden["lm3d"], 1e-7),
        compare("five", [five_points_up(m, s[0]) for m, s in zip(marks_px, sizes, strict=True)], golden["five"], 1e-9),
        compare("trans_params", [[*c.size_wh, c.scale, *c.middle] for c in crops], golden["trans_params"], 1e-4),
        compare("lm_new", placed, golden["lm_new"], 1e-4),
        compare("norm_matrix", similarity_to(torch.from_numpy(five), template), golden["norm_matrix"], 1e-5),
        *at_the_fitting_seed(fixture, aligned),
    ]


def _camera(golden: dict[str, np.ndarray]) -> list[Output]:
    verts, shift = (torch.from_numpy(golden[name]) for name in ("vertices", "translation"))
    rotation = euler_to_matrix(torch.from_numpy(golden["angles"]))
    posed = verts @ rotation.transpose(1, 2)
    moved = posed + shift[:, None]
    ndc = deep3d_perspective(posed, shift)
    projected = (torch.stack([ndc[..., 0], -ndc[..., 1]], -1) + 1) * DEEP3D_CENTRE_PX  # y up
    in_camera = torch.cat([moved[..., :2], DEEP3D_DISTANCE - moved[..., 2:]], -1)
    return [
        compare("rotation", rotation.transpose(1, 2), golden["rotation"], 1e-5),
        compare("camera_vertices", in_camera, golden["camera_vertices"], 1e-5),
        compare("depth", ndc[..., 2], golden["camera_vertices"][..., 2], 1e-5),
        compare("projected", projected, golden["projected"], 1e-3),
    ]
