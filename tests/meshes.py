"""Small meshes for tests of the rasteriser."""

import numpy as np
import torch

SQUARE = torch.tensor([[0, 1, 2], [0, 2, 3]])  # counter-clockwise for a viewer whose y points up


def square(left=-1.0, right=1.0, top=-1.0, bottom=1.0, depth=1.0):
    """One (1, 4, 3) rectangle, from its lower left corner counter-clockwise as seen."""
    x, y = [left, right, right, left], [bottom, bottom, top, top]
    return torch.tensor([[*zip(x, y, [depth] * 4, strict=True)]], dtype=torch.float64)


def soup(seed, batch=2, count=400, spread=0.3, low=1.0, high=3.0):
    """Random triangles of many sizes and both orientations, partly outside the frame."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-1.2, 1.2, (batch, count, 1, 2))
    size = spread * rng.uniform(0.02, 1, (1, count, 1, 1))
    xy = centres + size * rng.normal(size=(batch, count, 3, 2))
    verts = np.concatenate([xy, rng.uniform(low, high, (batch, count, 3, 1))], -1).reshape(batch, -1, 3)
    return torch.from_numpy(verts), torch.arange(3 * count).view(-1, 3)


def sphere(rows=24, columns=40, batch=2):
    """A closed mesh turned differently in every item: shared edges, depth order, a silhouette."""
    theta = torch.linspace(0, torch.pi, rows + 1, dtype=torch.float64)
    phi = torch.arange(columns, dtype=torch.float64) * (2 * torch.pi / columns)
    turn = torch.arange(batch, dtype=torch.float64)[:, None, None] * 0.37
    theta, phi = theta[:, None] + 0 * turn, phi + turn
    xyz = [0.8 * theta.sin() * phi.sin(), -0.6 * theta.cos() + 0 * phi, 2 - theta.sin() * phi.cos()]
    corner = torch.arange(rows)[:, None] * columns + torch.arange(columns)
    right = torch.arange(rows)[:, None] * columns + (torch.arange(columns) + 1) % columns
    quads = [
        torch.stack(t, -1) for t in ((corner, corner + columns, right), (right, corner + columns, right + columns))
    ]
    return torch.stack(xyz, -1).flatten(1, 2), torch.stack(quads, 2).view(-1, 3)
