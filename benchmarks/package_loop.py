"""face-alignment's own loop, one image and one face at a time, on weights by path: the yardstick of FAN in batches."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from face_alignment import FaceAlignment, LandmarksType
from face_alignment.detection.sfd.net_s3fd import s3fd
from face_alignment.models import FAN

LOUD = 5.0  # times the weights of S3FD's scores as they are drawn: some candidates are then sure, some are not
SHY = 6.0  # the background's score everywhere: no candidate is listed, which spares the package its loop over them


def write_random_weights(folder: Path, shy: bool = False) -> tuple[Path, Path]:
    """Write untrained weights of FAN and S3FD in the official layout.

    S3FD is sure of some faces in any image; where it is `shy`, of none.
    """
    torch.manual_seed(0)
    network, detector = FAN(4), s3fd()
    for name, values in detector.named_parameters():
        if name.endswith("mbox_conf.weight"):
            values.data.mul_(0.0 if shy else LOUD)
        elif shy and name.endswith("mbox_conf.bias"):
            values.data[:-1] = SHY
    paths = folder / "fan.pth", folder / "s3fd.pth"
    for path, module in zip(paths, (network, detector), strict=True):
        torch.save(module.state_dict(), path)
    return paths


class PackageLoop:
    """The package as its users call it, on weights by path; the package itself would fetch them."""

    def __init__(self, fan: Path, s3fd: Path) -> None:
        class AlignerByPath(FaceAlignment):
            def _load_native(self, network_name: str, network_size: int, device: str, dtype: torch.dtype) -> FAN:
                net = FAN(network_size)
                net.load_state_dict(torch.load(fan, map_location=device, weights_only=True))
                return net.to(device, dtype=dtype).eval()

        detector = {"path_to_detector": str(s3fd)}
        self.aligner: Any = AlignerByPath(
            LandmarksType.TWO_D, device="cpu", flip_input=False, face_detector_kwargs=detector, compile=False
        )

    def boxes(self, frame_u8: np.ndarray) -> list[np.ndarray]:
        """Every face that the detector finds in one frame, surest first: left, top, right, bottom, score."""
        return list(self.aligner.face_detector.detect_from_image(np.ascontiguousarray(frame_u8)))

    def points(self, frame_u8: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Landmarks (68, 2) of one face, in the package's whole pixels."""
        return np.asarray(self.aligner.get_landmarks_from_image(frame_u8, [box])[0])
