"""DECA's crop: similarity, resampled image, and positions carried back to the frame."""

import numpy as np
import torch

from model.frame.coords import apply_affine
from pipeline.trackers.deca_crop import HALF_PX, cut, find_crop, tracker_map
from tests.parity.compare import Output, at_the_fitting_seed, compare
from tests.parity.golden import Fixture

SAMPLES = slice(4, None, 8)


def check(fixture: Fixture) -> list[Output]:
    """Everything in the published coordinates, which count from pixel centres."""
    golden = fixture.arrays()
    to_crop = find_crop(torch.from_numpy(golden["landmarks"]) + HALF_PX)
    scale = to_crop[:, :, 0].norm(dim=1)
    sizes = np.stack([golden["image_height"], golden["image_width"]], 1).tolist()
    back = [_positions(golden["points_224"][i], to_crop[i : i + 1], size) for i, size in enumerate(sizes)]

    def crops(seed: int) -> list[Output]:
        found = []
        for i, size in enumerate(sizes):
            img = fixture.image_u8(f"geometry/deca_image_{i}", *size, seed) / 255.0
            crop = cut(torch.from_numpy(img).permute(2, 0, 1)[None], to_crop[i : i + 1])
            found.append(crop[0].permute(1, 2, 0)[SAMPLES, SAMPLES])
        return [compare("crop", torch.stack(found), golden["crop_sub"], 1e-5)]

    return [
        compare("size", (223 / scale).round(), golden["size"]),
        compare("tform", to_crop, golden["tform"][:, :2], 1e-8),
        compare("points_image", np.stack(back), golden["points_image"], 1e-6),
        *at_the_fitting_seed(fixture, crops),
    ]


def _positions(points: np.ndarray, to_crop: torch.Tensor, size_hw: list[int]) -> np.ndarray:
    """Points (N, 3) of the crop in the frame, as published: half a pixel before our ndc, depth unchanged."""
    ndc = apply_affine(tracker_map(to_crop, tuple(size_hw)), torch.from_numpy(points[None, :, :2]).double())[0]
    return np.concatenate([ndc.numpy() - 2 * HALF_PX / np.array(size_hw[::-1]), points[:, 2:]], 1)
