"""PIRender's driving signal: 73 numbers a frame, of fits by Deep3DFaceRecon and their landmarks.

Source: RenYurui/PIRender at 9e59f19, data/vox_dataset.py (order, windows) and data/vox_video_dataset.py (cross
identity).

Convention: of one frame, expression 64, angles 3, translation 3, and the crop's scale and middle (x, y), which the
published alignment counts in pixels of the frame, from centres, y up (`pipeline.trackers.deep3d_crop`). The released
network saw frames of 256 px, hence crops of those.
"""

import numpy as np
import torch
from torch import Tensor

from model.frame.coords import ndc_to_px
from model.heads.fit import HeadFit
from pipeline.trackers.deep3d_crop import find_crop

HEAD = "bfm"
TRACKER = "deep3d"  # whose camera and angles are meant
REACH = 13  # frames before and after
NUM_COEFFICIENTS, CROP_SCALE = 73, 70


def coefficients(fit: HeadFit, landmarks: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Coefficients of N fitted frames.

    Args:
        fit: N fits of head `HEAD`.
        landmarks: their 68 landmarks (N, 68, 2), ndc of the frame.
        size_hw: of the frames that the network sees, px.

    Returns:
        (N, 73) in the fits' precision.
    """
    marks = ndc_to_px(landmarks.double(), size_hw).cpu().numpy()
    crops = [find_crop(face, size_hw) for face in marks]
    placed = torch.from_numpy(np.array([(crop.scale, *crop.middle) for crop in crops]).reshape(-1, 3))
    return torch.cat([fit.expression, fit.pose, fit.camera, placed.to(fit.expression)], 1)


def at_source_scale(driving: Tensor, source: Tensor, scale: int = CROP_SCALE) -> Tensor:
    """Windows for another identity: their crop scales times the source's over the driving frame's.

    Choice: the published ratio is that of the source and of the driving video's frame nearest to it in expression and
    pose; of a pair of single frames only the pair's own is defined.

    Args:
        driving: (B, 73, 27).
        source: (B, 73) coefficients of the sources' frames.
        scale: which of the numbers is the crop's scale.

    Returns:
        (B, 73, 27); the driving frame has the source's crop scale.
    """
    ratio = source[:, scale] / driving[:, scale, REACH]
    scaled = driving.clone()
    scaled[:, scale] *= ratio[:, None]
    return scaled
