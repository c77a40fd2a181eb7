"""Head trackers by name. A new tracker is one file, one line here, one in weights.py, one test and one card."""

TRACKERS = {
    "deca": "pipeline.trackers.deca:DecaTracker",
    "deep3d": "pipeline.trackers.deep3d:Deep3dTracker",
    "landmarks": "pipeline.trackers.landmarks:LandmarkTracker",
    "mesh": "pipeline.trackers.mesh:MeshTracker",
    "puppet_tracker": "pipeline.trackers.puppet:PuppetNetTracker",
}
