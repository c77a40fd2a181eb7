"""Joints, skin weights and landmarks of the puppet head."""

import numpy as np
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import spsolve

from pipeline.puppets.head_geometry import relief
from pipeline.puppets.head_geometry.assembly import PIECES, HeadMesh
from pipeline.puppets.head_geometry.relief import smooth_step
from pipeline.puppets.head_geometry.sections import INNER_EYE_COLUMN, OUTER_EYE_COLUMN

JOINT_NAMES = ("root", "neck", "jaw", "eye_left", "eye_right")
JOINT_PARENTS = (-1, 0, 0, 0, 0)
# A joint between two mirrored skin vertices near these places (the person's left one); eyes are their poles' middles.
_JOINT_PLACES = {"root": (5.7, -7.8, -1.0), "neck": (6.0, -18.0, -2.0), "jaw": (7.2, -1.3, -0.5)}


def joint_regressor(mesh: HeadMesh) -> np.ndarray:
    """(J, V) weights whose sums over shaped vertices are the joints; symmetric, so joints follow the shape."""
    regressor = np.zeros((len(JOINT_NAMES), len(mesh.template)))
    skin = np.flatnonzero(mesh.piece == 0)
    for name, place in _JOINT_PLACES.items():
        vertex = skin[np.argmin(((mesh.template[skin] - place) ** 2).sum(1))]
        regressor[JOINT_NAMES.index(name), [vertex, mesh.mirror[vertex]]] = 0.5
    for name in ("eye_left", "eye_right"):
        ball = np.flatnonzero(mesh.piece == PIECES.index(name))
        regressor[JOINT_NAMES.index(name), ball[-2:]] = 0.5  # the two poles come last
    return regressor


def skin_weights(mesh: HeadMesh) -> np.ndarray:
    """(V, J) weights: the jaw's harmonic over the skin, the neck's rise towards its base; the rest is the root's."""
    weights = np.zeros((len(mesh.template), len(JOINT_NAMES)))
    weights[:, 2] = jaw_weight(mesh)
    y = mesh.template[:, 1]
    weights[:, 1] = smooth_step(-12.5, -18.0, y) * (mesh.piece == 0) * (1 - weights[:, 2])
    weights[mesh.piece == PIECES.index("eye_left"), 3] = 1.0
    weights[mesh.piece == PIECES.index("eye_right"), 4] = 1.0
    weights[:, 0] = 1.0 - weights[:, 1:].sum(1)
    return weights


def jaw_weight(mesh: HeadMesh) -> np.ndarray:
    """Share (V,) of the jaw: 1 on the chin, lower lip, lower teeth and tongue, 0 on the skull and the lower neck.

    In between it solves Laplace's equation on the skin's graph, in which the lips' slit is open: the corners of the
    mouth and the cheeks take what lies between.
    """
    skin = mesh.piece == 0
    x, y, z = mesh.template[skin].T
    count = len(x)
    known = np.full(count, np.nan)
    a = np.abs(x)
    known[(y > -4.9) & (z > 6.5)] = 0.0
    known[(y > -2.2) | (z < -0.8) | (y < -13.8)] = 0.0
    known[(a < 3.4) & (y < -8.7) & (y > -11.3) & (z > 6.0)] = 1.0
    loop = mesh.skin.mouth_loop
    half = len(loop) // 2
    t = np.abs(x[loop]) / relief.MOUTH_HALF_WIDTH
    upper, lower = loop[: half + 1], loop[half + 1 :]
    known[upper[t[: half + 1] < 0.45]] = 0.0
    known[lower[t[half + 1 :] < 0.60]] = 1.0
    on_skin = skin[mesh.triangles].all(1)
    triangles = mesh.triangles[on_skin]
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = np.unique(np.sort(edges, 1), axis=0)
    length = np.linalg.norm(mesh.template[edges[:, 0]] - mesh.template[edges[:, 1]], axis=1)
    stiff = 1.0 / np.maximum(length, 0.02)
    graph = coo_matrix((stiff, (edges[:, 0], edges[:, 1])), shape=(count, count))
    graph = (graph + graph.T).tocsr()
    laplacian = diags(np.asarray(graph.sum(1)).ravel()) - graph
    free = np.isnan(known)
    known[free] = spsolve(laplacian[free][:, free].tocsc(), -laplacian[free][:, ~free] @ known[~free])
    weight = np.zeros(len(mesh.template))
    eased = np.clip(known, 0, 1)
    weight[skin] = 0.5 * (eased + eased * eased * (3 - 2 * eased))
    weight[np.isin(mesh.piece, [PIECES.index("teeth_lower"), PIECES.index("tongue")])] = 1.0
    return 0.5 * (weight + weight[mesh.mirror])


def _landmark_places() -> dict[int, tuple[float, float, float]]:
    """Rough places (cm, the person's right half and the middle) of the landmarks that are not on the slits' edges."""
    contour = (
        (7.3, 0.2, 2.7),
        (7.1, -1.95, 2.9),
        (6.8, -3.9, 3.4),
        (6.2, -5.8, 4.0),
        (5.4, -7.9, 5.0),
        (4.3, -9.6, 6.3),
        (3.05, -10.45, 7.7),
        (1.54, -10.9, 8.9),
        (0.0, -11.0, 9.2),
    )
    brow = ((5.55, 1.80, 7.0), (4.55, 2.50, 8.2), (3.4, 2.72, 9.0), (2.3, 2.50, 9.5), (1.35, 2.15, 9.7))
    places = dict(enumerate(contour)) | dict(enumerate(brow, 17))
    places |= {27: (0, 0.25, 9.7), 28: (0, -0.95, 10.7), 29: (0, -2.15, 11.6), 30: (0, -3.45, 12.1)}
    places |= {31: (1.35, -4.55, 10.2), 32: (0.65, -4.75, 10.6), 33: (0, -4.85, 10.8)}
    red = {49: (1.75, True), 50: (0.66, True), 51: (0.0, True), 59: (1.75, False), 58: (0.95, False), 57: (0.0, False)}
    for number, (x, upper) in red.items():
        line, heights = relief.lip_line(np.array(x)), relief.lip_heights(np.array(x))
        places[number] = (x, float(line + heights[0] if upper else line - heights[1]), 10.4)
    return places


IBUG_MIRROR = np.array(
    [
        *range(16, -1, -1),
        *range(26, 16, -1),
        27,
        28,
        29,
        30,
        35,
        34,
        33,
        32,
        31,
        45,
        44,
        43,
        42,
        47,
        46,
        39,
        38,
        37,
        36,
        41,
        40,
        54,
        53,
        52,
        51,
        50,
        49,
        48,
        59,
        58,
        57,
        56,
        55,
        64,
        63,
        62,
        61,
        60,
        67,
        66,
        65,
    ]
)


def landmarks(mesh: HeadMesh) -> tuple[np.ndarray, np.ndarray]:
    """68 iBUG landmarks: triangle (68,) and barycentric coordinates (68, 3).

    Point 0 is at the person's right ear (the viewer's left). Eyes and inner lips sit on the slits' edges, so they
    follow the lids and the lips; left and right are exact mirror images.
    """
    skin_triangles = np.flatnonzero((mesh.piece[mesh.triangles] == 0).all(1))
    triangle, barycentric = np.full(68, -1), np.zeros((68, 3))
    for number, place in _landmark_places().items():
        triangle[number], barycentric[number] = _closest(mesh, skin_triangles, np.array(place) * (-1, 1, 1))
    for number, vertex in _slit_vertices(mesh).items():
        found = skin_triangles[(mesh.triangles[skin_triangles] == vertex).any(1)][0]
        triangle[number], barycentric[number] = found, mesh.triangles[found] == vertex
    lookup = {tuple(sorted(t)): i for i, t in enumerate(mesh.triangles.tolist())}
    for number in np.flatnonzero(triangle < 0).tolist():
        other = IBUG_MIRROR[number]
        vertices = mesh.mirror[mesh.triangles[triangle[other]]]
        triangle[number] = lookup[tuple(sorted(vertices.tolist()))]
        order = [vertices.tolist().index(v) for v in mesh.triangles[triangle[number]]]
        barycentric[number] = barycentric[other][order]
    return triangle, barycentric


def _slit_vertices(mesh: HeadMesh) -> dict[int, int]:
    """Vertices of the landmarks on the right lids' margins, the mouth's corners and the inner lips' right half."""
    loop = mesh.skin.eye_loops[1]
    span = OUTER_EYE_COLUMN - INNER_EYE_COLUMN
    third = round(span / 3)
    eye = {
        36: loop[span],
        37: loop[span - third],
        38: loop[third],
        39: loop[0],
        40: loop[-third],
        41: loop[third - span],
    }
    mouth, half = mesh.skin.mouth_loop, len(mesh.skin.mouth_loop) // 2  # starts at +x, the middle is half // 2
    middle, inner = half // 2, round(half / 2 * 0.42)
    lips = {
        48: mouth[half],
        60: mouth[half - 2],
        61: mouth[middle + inner],
        62: mouth[middle],
        66: mouth[half + middle],
        67: mouth[half + middle - inner],
    }
    return eye | lips


def _closest(mesh: HeadMesh, candidates: np.ndarray, place: np.ndarray) -> tuple[int, np.ndarray]:
    """The point of the candidate triangles nearest to a place: triangle and barycentric coordinates."""
    corners = mesh.template[mesh.triangles[candidates]]
    near = np.argsort(((corners.mean(1) - place) ** 2).sum(1))[:24]
    best = (np.inf, -1, np.zeros(3))
    grid = np.array([(i, j, 8 - i - j) for i in range(9) for j in range(9 - i)]) / 8.0
    for i in near:
        points = grid @ corners[i]
        distance = ((points - place) ** 2).sum(1)
        k = int(distance.argmin())
        if distance[k] < best[0]:
            best = (distance[k], int(candidates[i]), grid[k])
    return best[1], best[2]
