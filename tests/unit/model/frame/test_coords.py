"""The page of conventions: pixels, ndc, identity grid, displacement, 8 bits."""

import torch

from model.frame.coords import apply_affine, from_u8, identity_grid, ndc_to_px, px_to_ndc, resize_disp, to_u8
from model.frame.warp import warp


def test_pixel_centres_of_a_non_square_frame(placed):
    points = placed(torch.tensor([[0.5, 0.5], [3.5, 1.5]]))  # first and last pixel of 2 x 4
    assert torch.allclose(px_to_ndc(points, (2, 4)), placed(torch.tensor([[-0.75, -0.5], [0.75, 0.5]])))
    assert torch.allclose(ndc_to_px(px_to_ndc(points, (2, 4)), (2, 4)), points)


def test_identity_grid_holds_pixel_centres(placed):
    grid = identity_grid((2, 4), placed.device, placed.dtype)
    assert grid.shape == (1, 2, 2, 4)
    assert torch.allclose(grid[0, 0, 0], placed(torch.tensor([-0.75, -0.25, 0.25, 0.75])))
    assert torch.allclose(grid[0, 1, :, 0], placed(torch.tensor([-0.5, 0.5])))


def test_zero_displacement_is_the_identity(on_device):
    src = on_device(torch.rand(2, 3, 6, 10, dtype=torch.float64))
    assert torch.allclose(warp(src, on_device(torch.zeros(2, 2, 6, 10, dtype=torch.float64))), src, atol=on_device.atol)


def test_displacement_points_from_target_to_source(placed):
    src = placed(torch.rand(1, 1, 5, 8))
    disp = placed(torch.zeros(1, 2, 5, 8))
    disp[:, 0] = 2 / 8  # one pixel to the right
    assert torch.allclose(warp(src, disp)[..., :-1], src[..., 1:], atol=1e-5)
    disp = placed(torch.zeros(1, 2, 5, 8))
    disp[:, 1] = 2 / 5  # one pixel down
    assert torch.allclose(warp(src, disp)[..., :-1, :], src[..., 1:, :], atol=1e-5)


def test_outside_the_source_its_edge_is_repeated(placed):
    src = placed(torch.rand(1, 1, 3, 4))
    disp = placed(torch.full((1, 2, 3, 4), 5.0))
    assert torch.allclose(warp(src, disp), src[..., -1:, -1:].expand(1, 1, 3, 4))


def test_resizing_a_displacement_keeps_its_values(placed):
    disp = placed(torch.tensor([0.3, -0.2])).reshape(1, 2, 1, 1).expand(1, 2, 4, 6)
    assert torch.allclose(
        resize_disp(disp, (8, 12)), placed(torch.tensor([0.3, -0.2])).reshape(1, 2, 1, 1).expand(1, 2, 8, 12)
    )


def test_warp_gradients_agree_with_finite_differences(on_device):
    generator = torch.Generator().manual_seed(0)
    src = on_device(torch.rand(1, 2, 4, 6, dtype=torch.float64, generator=generator, requires_grad=True))
    disp = (
        on_device(torch.rand(1, 2, 3, 5, dtype=torch.float64, generator=generator)).mul(0.1).add(0.013).requires_grad_()
    )
    assert torch.autograd.gradcheck(warp, (src, disp))


def test_quantisation_rounds(placed):
    assert to_u8(placed(torch.tensor([0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 1.2, -0.1]))).tolist() == [
        0,
        0,
        1,
        255,
        255,
        0,
    ]
    levels = placed(torch.arange(256, dtype=torch.uint8))
    assert torch.equal(to_u8(from_u8(levels)), levels)


def test_affine_is_row_major(placed):
    matrix = placed(torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]))
    assert apply_affine(matrix, placed(torch.tensor([[[10.0, 100.0]]]))).tolist() == [[[213.0, 546.0]]]
