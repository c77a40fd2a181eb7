"""Landmarks that a release gives as vertices, in this project's form: a triangle and a place in it."""

import numpy as np


def landmark_corners(where: str, triangles: np.ndarray, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Express landmark vertices (68,) as corners of the first triangle that has them: (68,) and (68, 3).

    Raises:
        ValueError: no triangle has a landmark's vertex; the message begins with `where`.
    """
    chosen, barycentric = np.zeros(68, np.int32), np.zeros((68, 3), np.float32)
    for landmark, vertex in enumerate(vertices):
        rows, columns = np.nonzero(triangles == vertex)
        if not len(rows):
            raise ValueError(f"{where}: no triangle has landmark {landmark}'s vertex {vertex}")
        chosen[landmark] = rows[0]
        barycentric[landmark, columns[0]] = 1.0
    return chosen, barycentric
