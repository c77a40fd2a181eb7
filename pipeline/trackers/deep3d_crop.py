"""What Deep3DFaceRecon sees of a frame, and where its coordinates lie there (sicxu/Deep3DFaceRecon_pytorch).

A weak-perspective pose of five points (POS) fixes the scale and the middle of a 224 px crop.

Convention: the published alignment counts pixels from their centres and lets y run up. This file is the one place
where both meet the project's edge-aligned px with y down: `five_points_up` and `landmarks_in_crop` speak the published
frame, `cut` and `tracker_map` ours.

Quirks kept (util/preprocess.py): the resized frame's sides and the crop's place are truncated towards zero, the image
is resized with PIL's bicubic filter, what lies outside is black, and landmarks ignore that truncation.
"""

from dataclasses import dataclass

import numpy as np

CROP_PX = 224
FACE_PX = 102.0  # the template's unit length in the crop
HALF_PX = 0.5  # from a pixel's edge to its centre
# similarity_Lm3D_all.mat reduced to five points: eyes, nose tip, mouth corners; x right, y up, z towards the viewer.
TEMPLATE = np.array(
    [
        [-0.311486572, 0.290360779, 0.133779526],
        [0.309798867, 0.289720356, 0.131795257],
        [0.003253499, -0.046179324, 0.552442431],
        [-0.252169281, -0.381339163, 0.224057317],
        [0.248466194, -0.381282359, 0.22235769],
    ]
)


@dataclass(frozen=True)
class Deep3dCrop:
    """An alignment.

    Attributes:
        size_wh: of the frame.
        scale: by which the frame is resized.
        middle: (2,) point of the frame that becomes the crop's middle, y up from the last row's centre.
    """

    size_wh: tuple[int, int]
    scale: float
    middle: np.ndarray

    @property
    def resized_wh(self) -> tuple[int, int]:
        """Size of the resized frame, from which the crop is taken."""
        return int(self.size_wh[0] * self.scale), int(self.size_wh[1] * self.scale)

    @property
    def corner(self) -> tuple[int, int]:
        """Column and row of the resized frame at which the crop begins."""
        (w0, h0), (w, h) = self.size_wh, self.resized_wh
        left = w / 2 - CROP_PX / 2 + (self.middle[0] - w0 / 2) * self.scale
        top = h / 2 - CROP_PX / 2 + (h0 / 2 - self.middle[1]) * self.scale
        return int(left), int(top)


def five_points_up(landmarks_px: np.ndarray, height: int) -> np.ndarray:
    """Eyes, nose tip and mouth corners (5, 2) of 68 landmarks in px, in the published frame (y up).

    An eye is the middle of its two corners here, not of its six points as in ArcFace's alignment.
    """
    eyes = [landmarks_px[[36, 39]].mean(0), landmarks_px[[42, 45]].mean(0)]
    return _flip(np.stack([*eyes, landmarks_px[30], landmarks_px[48], landmarks_px[54]]) - HALF_PX, height)


def find_crop(landmarks_px: np.ndarray, size_hw: tuple[int, int]) -> Deep3dCrop:
    """Pose the five-point template over a face by least squares.

    Args:
        landmarks_px: (68, 2) in px of the frame.
        size_hw: of the frame.

    Raises:
        ValueError: the face has no extent (less than a pixel a template unit), or dwarfs the frame, or is not finite.
    """
    five = five_points_up(landmarks_px.astype(np.float64), size_hw[0])
    if not np.isfinite(five).all():
        raise ValueError(f"Deep3D's alignment needs five finite points, got {five.tolist()}")
    design = np.concatenate([TEMPLATE, np.ones((5, 1))], 1)
    rows = np.linalg.lstsq(design, five, rcond=None)[0]  # (4, 2): two rows of the projection, then its translation
    unit = np.linalg.norm(rows[:3], axis=0).mean()
    if not 1 <= unit <= min(size_hw) * FACE_PX:
        raise ValueError(f"Deep3D's alignment has no scale: five points {five.round(1).tolist()} of a {size_hw} frame")
    return Deep3dCrop((size_hw[1], size_hw[0]), FACE_PX / unit, rows[3])


def cut(frame_u8: np.ndarray, crop: Deep3dCrop) -> np.ndarray:
    """Cut the crop (224, 224, 3) out of its frame (H, W, 3) uint8."""
    from PIL import Image

    left, top = crop.corner
    resized = Image.fromarray(frame_u8).resize(crop.resized_wh, Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((left, top, left + CROP_PX, top + CROP_PX)))


def landmarks_in_crop(landmarks_px: np.ndarray, crop: Deep3dCrop) -> np.ndarray:
    """Landmarks (68, 2) in the crop, in the published frame (y up), as the published training saw them."""
    points = _flip(landmarks_px - HALF_PX, crop.size_wh[1])
    half = np.array(crop.size_wh) / 2
    return (points - crop.middle + half) * crop.scale - (np.array(crop.resized_wh) - CROP_PX) / 2


def tracker_map(crop: Deep3dCrop) -> np.ndarray:
    """Map (6,), row-major 2x3, from the crop's ndc to the frame's ndc: `HeadFit.tracker_map` of a Deep3D fit."""
    shrunk, corner, size = np.array(crop.resized_wh), np.array(crop.corner), np.array(crop.size_wh)
    to_px = size / shrunk  # resized px -> frame px
    linear = CROP_PX / 2 * to_px * 2 / size
    offset = (CROP_PX / 2 + corner) * to_px * 2 / size - 1
    return np.array([linear[0], 0, offset[0], 0, linear[1], offset[1]])


def _flip(points: np.ndarray, height: int) -> np.ndarray:
    """Swap y down and y up between pixel centres."""
    return np.stack([points[:, 0], height - 1 - points[:, 1]], 1)
