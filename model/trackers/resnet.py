"""The trunk that DECA and Deep3DFaceRecon share: ResNet-50 with torchvision's layout, up to its pooled features."""

from torch import Tensor, nn

from model.frame.images import check_images

INPUT_PX = 224
FEATURES = 2048


def resnet50_trunk() -> nn.Module:
    """Build the trunk, (B, 3, 224, 224) -> (B, 2048), with torchvision's names of tensors and without its `fc`."""
    from torchvision.models import resnet50  # its import is slow and only these two trackers need it

    trunk = resnet50(weights=None)
    trunk.fc = nn.Identity()
    return trunk


def check_crops(img: Tensor) -> None:
    """Raise ValueError unless `img` is (B, 3, 224, 224): the published pooling knows no other size."""
    check_images(img)
    if img.shape[-2:] != (INPUT_PX, INPUT_PX):
        raise ValueError(f"expected crops of {INPUT_PX} px, got {tuple(img.shape[-2:])}")
