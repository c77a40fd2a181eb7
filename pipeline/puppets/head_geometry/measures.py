"""Where things are on the neutral head, in cm: an average adult's proportions.

y up with 0 at the eyes, z towards the viewer with 0 between the ears, x to the viewer's right.
"""

import numpy as np

EYEBALL_CENTRE = np.array([3.12, 0.02, 6.98])  # the person's left eye; the right one mirrors it in x
EYEBALL_RADIUS = 1.42
LID_THICKNESS = 0.13
EYE_INNER_X, EYE_OUTER_X = 1.68, 4.58
MOUTH_HALF_WIDTH = 2.45
EYE_ROW_V, MOUTH_ROW_V, JAW_ROW_V = -0.10, -6.82, -11.0  # sections of both slits and of the jaw's edge, see sections.py
