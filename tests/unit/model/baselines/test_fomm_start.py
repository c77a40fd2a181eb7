"""Where FOMM's training starts: maps that are the identity, and an image that is about the warped source."""

from dataclasses import replace

import torch
from torch.nn import functional as F

from model.baselines.fomm.network import Fomm, FommConfig
from model.baselines.fomm.start import CHANNELS, published_start, start_near_source

FLAT = FommConfig(image_px=32, num_kp=3, scale=0.5, temperature=1.0, kp_width=4, kp_largest=16, kp_levels=2,
                  motion_width=4, motion_largest=16, motion_levels=2, width=8, largest=16, num_down=0,
                  num_residual=1)  # fmt: skip


def pictures(seed: int) -> torch.Tensor:
    """Smooth ones (4, 3, 32, 32) with about the mean and deviation of frames."""
    grain = torch.rand(4, 3, 9, 9, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(grain, (32, 32), mode="bilinear", align_corners=True)


@torch.no_grad()
def test_local_maps_start_as_the_identity_whatever_the_image(placed):
    torch.manual_seed(0)
    network = Fomm(replace(FLAT, num_down=1))
    published_start(network)
    found = placed(network).kp_detector(placed(pictures(0))).jacobian
    placed.assert_close(found, torch.eye(2).to(found).expand_as(found))


@torch.no_grad()
def test_the_first_image_is_about_the_warped_source_and_the_plain_start_is_not(placed):
    gaps = []
    for starts in ((published_start, start_near_source), (published_start,)):
        torch.manual_seed(0)
        network = Fomm(FLAT)
        for start in starts:
            start(network)
        made = placed(network.train())(placed(pictures(0)), {"driving": placed(pictures(1))})
        gaps.append((made.image - made.own.deformed).abs().mean().item())
    near, plain = gaps
    assert near < 0.08
    assert plain > 2 * near


def test_what_starts_without_a_part_in_the_image_learns_one(placed):
    torch.manual_seed(0)
    network = Fomm(FLAT)
    published_start(network)
    start_near_source(network)
    network = placed(network.train())
    adam = torch.optim.Adam(network.parameters(), 1e-3)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    for _ in range(3):
        adam.zero_grad()
        image = network(placed(pictures(0)), {"driving": placed(pictures(1))}).image
        (image - placed(pictures(1))).abs().mean().backward()
        adam.step()
    still = {name for name, p in network.named_parameters() if torch.equal(p, before[name])}
    assert {name for name in still if name != "kp_detector.kp.bias"} == set()  # a softmax over pixels takes it away
    assert network.generator.final.weight[:, CHANNELS:].any()
