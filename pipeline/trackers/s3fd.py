"""S3FD's boxes (face-alignment 1.5, BSD-3) on imported weights: the surest face of each of many frames in one pass.

The network is the package's. Its reading of a batch visits every candidate of any frame in all frames, in Python; here
each frame's own candidates are read at once. Suppression of overlaps never drops the surest candidate, so the first
face of the package is the best candidate of all scales.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

MEAN_BGR = (104.0, 117.0, 123.0)
FIRST_STRIDE = 4  # px between the candidates of the finest scale; it doubles from scale to scale
ANCHOR_STRIDES = 4  # a candidate's side in its strides
VARIANCES = (0.1, 0.2)  # of its middle, and of its side
LISTED = 0.05  # score from which a candidate is listed
FOUND = 0.5  # a face is surer than this
NO_FACE = np.full(5, np.nan)

Scale = tuple[np.ndarray, np.ndarray]  # scores (N, h, w) and offsets (N, 4, h, w) of one stride


class FaceBoxes:
    """S3FD on a device."""

    def __init__(self, weights: Path, device: torch.device) -> None:
        from face_alignment.detection.sfd.net_s3fd import s3fd

        self.net = s3fd()
        self.net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self.net.to(device).eval()
        self.device = device

    @torch.inference_mode()
    def surest(self, frames_u8: np.ndarray) -> np.ndarray:
        """Find the surest face of each frame (N, H, W, 3) uint8 RGB in one pass.

        Returns:
            (N, 5) float64: left, top, right, bottom in px, and the score; NaN where there is no face.
        """
        planes = torch.from_numpy(np.ascontiguousarray(frames_u8)).to(self.device).permute(0, 3, 1, 2)
        img = planes.flip(1).float() - torch.tensor(MEAN_BGR, device=self.device).view(1, 3, 1, 1)
        scales = _read(self.net(img))
        return np.stack([surest_box([(scores[i], offsets[i]) for scores, offsets in scales]) for i in range(len(img))])


def _read(outputs: list[Tensor]) -> list[Scale]:
    pairs = zip(outputs[::2], outputs[1::2], strict=True)
    return [(F.softmax(logits, 1)[:, 1].cpu().numpy(), offsets.cpu().numpy()) for logits, offsets in pairs]


def surest_box(scales: list[Scale]) -> np.ndarray:
    """The best candidate (5,) of one frame's scales, scores (h, w) and offsets (4, h, w) each; see `surest`."""
    listed = [np.argwhere(scores > LISTED) for scores, _ in scales]
    sizes = [len(places) for places in listed]
    if not sum(sizes):
        return NO_FACE
    found = [scores[*places.T] for (scores, _), places in zip(scales, listed, strict=True)]
    best = int(np.concatenate(found).astype(np.float64).argsort()[::-1][0])  # of equal ones the package's
    scale = int(np.searchsorted(np.cumsum(sizes), best, side="right"))
    (scores, offsets), (row, column) = scales[scale], listed[scale][best - sum(sizes[:scale])]
    if not scores[row, column] > FOUND:
        return NO_FACE
    stride = FIRST_STRIDE * 2**scale
    middle, side = (np.array([column, row]) + 0.5) * stride, float(ANCHOR_STRIDES * stride)
    shift, growth = offsets[:2, row, column] * VARIANCES[0], offsets[2:, row, column] * VARIANCES[1]
    extent = side * np.exp(growth)
    low = middle + shift * side - extent / 2
    return np.array([*low, *(low + extent), scores[row, column]])
