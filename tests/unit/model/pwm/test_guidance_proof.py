"""The displacement explains a puppet's motion: without light, the warped source is the driving frame."""

import cv2
import numpy as np
import pytest
import torch

from model.frame.coords import from_u8, identity_grid
from model.frame.warp import warp
from model.heads.fit import HeadFit
from model.pwm.config import GuidanceConfig
from model.pwm.guidance import Guidance
from model.render.interpolate import interpolate
from model.render.raster import rasterize
from pipeline.puppets.appearance import PART
from pipeline.puppets.motion import rotation_vector
from pipeline.puppets.render import Camera
from tests.puppet_studio import person, studio

SIZE = (256, 208)  # height, width: the crop squeezes
SQUEEZE = (1.15, 0.9)  # of the tracker's square frame, horizontally and vertically
LIMIT = 4.0  # grey levels of 255
SAME_SURFACE = 0.01  # depth in the camera's units, a share of the head's
PAINTED = ("skin", "lips", "brows")  # what is painted on the head's own mesh


def fit_of(yaw_deg: float, pitch_deg: float, jaw_deg: float, smile: float, move: tuple[float, float]) -> HeadFit:
    """One frame of the studio's person; `move` shifts the head in the frame, in ndc."""
    head = studio().head
    pose = torch.zeros(1, head.num_pose)
    pose[0, :3] = torch.from_numpy(rotation_vector(*(np.radians([a]) for a in (yaw_deg, pitch_deg, 4.0)))[0])
    pose[0, 6] = np.radians(jaw_deg)
    expression = torch.zeros(1, head.num_expression)
    expression[0, [list(head.arrays.expression_names).index(name) for name in ("smile_left", "smile_right")]] = smile
    tracker_map = torch.tensor([[SQUEEZE[0], 0, move[0], 0, SQUEEZE[1], move[1]]])
    shape = torch.from_numpy(person().identity.shape)[None]
    return HeadFit(shape, expression, pose, torch.tensor([[1 / 14, 0.0, 3.0]]), tracker_map)


def film(fit: HeadFit):
    """Colours without light (1, 3, H, W) in [0, 1], and the parts (H, W)."""
    actor = studio().dress(person())
    codes = (fit.shape, fit.expression, fit.pose, fit.camera)
    picture = Camera(studio()).film(actor, *codes, SIZE, fit.tracker_map.numpy(), supersample=2, with_albedo=True)[0]
    return from_u8(torch.from_numpy(picture.albedo).permute(2, 0, 1)[None]), picture.label


def seen_in_both(source: HeadFit, driving: HeadFit, label_src: np.ndarray, label_drv: np.ndarray) -> np.ndarray:
    """Pixels (H, W) of the driving frame whose skin the source frame shows, by the true meshes and parts."""
    head = studio().head
    verts_src, verts_drv = head.place(source), head.place(driving)
    fragments = rasterize(verts_drv, head.triangles, SIZE)
    x, y, depth = interpolate(fragments, verts_src, head.triangles)[0].numpy()  # where this surface is in the source
    column, row = (x + 1) / 2 * SIZE[1] - 0.5, (y + 1) / 2 * SIZE[0] - 0.5
    nearest = np.rint(column).astype(int), np.rint(row).astype(int)
    inside = (nearest[0] >= 0) & (nearest[0] < SIZE[1]) & (nearest[1] >= 0) & (nearest[1] < SIZE[0])
    there = nearest[1].clip(0, SIZE[0] - 1), nearest[0].clip(0, SIZE[1] - 1)
    front = rasterize(verts_src, head.triangles, SIZE).depth[0].numpy()[there]
    parts = [PART[name] for name in PAINTED]
    skin_src, skin_drv = (
        cv2.erode(np.isin(label, parts).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        for label in (label_src, label_drv)
    )  # no pixel whose neighbours are hair or background: both frames blend those
    return inside & fragments.covered[0].numpy() & (np.abs(front - depth) < SAME_SURFACE) & skin_drv & skin_src[there]


@pytest.mark.parametrize(("source", "driving"), [
    ((0, 0, 0, 0.0, (0, 0)), (24, -8, 0, 0.0, (0.1, -0.06))),
    ((-20, 6, 0, 0.0, (0.08, 0.05)), (15, 0, 14, 0.8, (-0.1, 0.0))),
])  # fmt: skip
def test_true_displacement_warps_the_source_to_the_driving_frame(source, driving):
    fit_src, fit_drv = fit_of(*source), fit_of(*driving)
    (img_src, label_src), (img_drv, label_drv) = film(fit_src), film(fit_drv)
    guidance = Guidance(
        studio().head,
        GuidanceConfig(name="geom_disp", render_px=min(SIZE), code_dim=1, code_std=1.0, code_frequency=1.0),
    )
    disp = guidance(studio().head, fit_src, fit_drv, SIZE).driving
    both = seen_in_both(fit_src, fit_drv, label_src, label_drv)
    assert both.mean() > 0.05

    def error(img: torch.Tensor) -> float:
        return 255 * (img - img_drv)[0, :, both].abs().mean().item()

    warped = error(warp(img_src, disp))
    assert warped <= LIMIT
    assert error(img_src) > 5 * warped  # the motion shows in this painted skin
    for wrong in (-disp, disp.flip(1), disp * torch.tensor([1.0, SIZE[1] / SIZE[0]])[:, None, None]):
        assert error(warp(img_src, wrong)) > 5 * warped


def test_displacement_of_visible_skin_is_exact_in_pixels():
    fit_src, fit_drv = fit_of(0, 0, 0, 0.0, (0, 0)), fit_of(24, -8, 0, 0.5, (0.1, -0.06))
    head = studio().head
    guidance = Guidance(
        head, GuidanceConfig(name="geom_disp", render_px=min(SIZE), code_dim=1, code_std=1.0, code_frequency=1.0)
    )
    disp = guidance(head, fit_src, fit_drv, SIZE).driving[0]
    verts_src, verts_drv = head.place(fit_src)[0], head.place(fit_drv)[0]
    fragments = rasterize(verts_drv[None], head.triangles, SIZE)
    covered = fragments.covered[0]
    where_px = ((disp + identity_grid(SIZE)[0]) + 1) / 2 * torch.tensor(SIZE[::-1])[:, None, None]
    surface = interpolate(fragments, verts_src[:, :2], head.triangles)[0]
    wanted_px = (surface + 1) / 2 * torch.tensor(SIZE[::-1])[:, None, None]
    assert (where_px - wanted_px)[:, covered].abs().max() < 0.01
    assert (disp[:, ~covered] == 0).all()
