"""Whose shape, whose pose: the one place where a driving fit becomes the mesh that drives a source."""

import torch
from torch import Tensor

from model.frame.coords import apply_affine
from model.heads.fit import HeadFit
from model.heads.head import HeadModel


def retarget(source: HeadFit, driving: HeadFit, same_identity: bool, head: HeadModel) -> HeadFit:
    """Return the fit of the driving mesh M_d.

    Same identity: the driving frame's own fit. Cross identity (paper section 4.1): shape from the
    source, everything else from the driving fit, except the squeeze of the crop. FOMM's boxes are not
    square, so a crop changes the aspect of a face; the source's is kept, because its image is what
    gets warped.

    Convention: the aspect of a map is |row 0| / |row 1| of its linear part, which is sx / sy when the
    tracker's frame is turned first and squeezed last. The map's scale sqrt(sx sy) stays the
    driving's, and so does the place where the driving's map puts the root joint. With equal aspects
    the map is the driving's own.

    Args:
        source: B fits of the source frames.
        driving: B fits of the driving frames.
        same_identity: whether both show one person.
        head: the head that both were fitted with.

    Returns:
        HeadFit of B driving meshes, in the clip frame of the source's squeeze.

    Choice: the paper does not mention the squeeze. The fixed point is the root joint, which is what
    pose turns about, so a squeeze moves the head as little as it can.
    """
    if same_identity:
        return driving
    swapped = driving.replace(shape=source.shape)
    stretch = (_aspect(source.tracker_map) / _aspect(driving.tracker_map)).sqrt()  # (B,)
    rows = torch.stack([stretch, 1.0 / stretch], -1)  # (B, 2)
    old = driving.tracker_map.reshape(-1, 2, 3)
    linear = old[:, :, :2] * rows[..., None]
    root = head.project(_root_joint(head, source.shape), driving.camera)[..., :2]  # (B, 1, 2) tracker ndc
    placed = apply_affine(driving.tracker_map, root)
    offset = (placed - root @ linear.transpose(1, 2)).transpose(1, 2)  # (B, 2, 1)
    return swapped.replace(tracker_map=torch.cat([linear, offset], -1).flatten(1))


def _aspect(tracker_map: Tensor) -> Tensor:
    """Horizontal over vertical scale (B,) of row-major 2x3 maps (B, 6)."""
    lengths = tracker_map.reshape(-1, 2, 3)[:, :, :2].norm(dim=-1)
    return lengths[:, 0] / lengths[:, 1]


def _root_joint(head: HeadModel, shape: Tensor) -> Tensor:
    """Position (B, 1, 3) of the root joint, which no pose moves."""
    shaped = (head.template.flatten() + shape @ head.basis[: head.num_shape]).unflatten(-1, (-1, 3))
    return head.joint_regressor[:1] @ shaped
