"""Which imported weights each tracker uses: names of assets, its own network's first.

The stage `weights` tells DVC their hashes. The names stand here and not in the trackers' classes, because importing
those loads torch; a test holds this table to what every tracker asks for.
"""

LANDMARKS = ("fan", "s3fd")  # of everything that looks for 68 points with FAN
MESH = ("face_mesh", "blazeface")
TRACKER_WEIGHTS: dict[str, tuple[str, ...]] = {
    "deca": ("deca", *LANDMARKS),
    "deep3d": ("deep3d", *LANDMARKS),
    "landmarks": (),
    "mesh": MESH,
    "puppet_tracker": (),
}
