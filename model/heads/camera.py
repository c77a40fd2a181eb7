"""Cameras: head units to the tracker frame's ndc. The one place where y up becomes y down.

Every projection returns (B, N, 3): x and y in ndc, and a depth of which the smaller is nearer.
"""

import torch
from torch import Tensor

DEEP3D_FOCAL_PX = 1015.0  # of a 224 px frame; Deep3DFaceRecon_pytorch, options and models/bfm.py
DEEP3D_CENTRE_PX = 112.0
DEEP3D_DISTANCE = 10.0
CAMERA_SIZES = {"scaled_orthographic": 3, "deep3d_perspective": 3}


def scaled_orthographic(points: Tensor, camera: Tensor) -> Tensor:
    """Project by (scale, tx, ty): ndc x = scale (X + tx), ndc y = -scale (Y + ty), depth = -scale Z.

    Convention: DECA's order of translation before scale (decalib/utils/util.py, batch_orth_proj).
    A point at the origin with camera (0.1, 2, 3) lands at (0.2, -0.3).

    Args:
        points: (B, N, 3) in head units, y up, z towards the viewer.
        camera: (B, 3).
    """
    scale, tx, ty = (c[:, None] for c in camera.unbind(-1))
    x, y, z = points.unbind(-1)
    return torch.stack([scale * (x + tx), -scale * (y + ty), -scale * z], -1)


def deep3d_perspective(points: Tensor, camera: Tensor) -> Tensor:
    """Project by a translation (tx, ty, tz) before Deep3DFaceRecon's fixed pinhole camera.

    Convention: the camera stands at z = 10 and looks down -z, focal length 1015 and centre 112 of a
    224 px frame (Deep3DFaceRecon_pytorch, models/bfm.py: to_camera, to_image). Depth is the distance
    from the camera plane, positive in front of it.
    """
    x, y, z = (points + camera[:, None]).unbind(-1)
    distance = DEEP3D_DISTANCE - z
    factor = DEEP3D_FOCAL_PX / DEEP3D_CENTRE_PX / distance
    return torch.stack([factor * x, -factor * y, distance], -1)


CAMERAS = {"scaled_orthographic": scaled_orthographic, "deep3d_perspective": deep3d_perspective}
