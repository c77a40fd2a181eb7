"""Head trackers by name. A new tracker is one file, one line here, one test and one card."""

TRACKERS = {
    "landmarks": "pipeline.trackers.landmarks:LandmarkTracker",
    "puppet_tracker": "pipeline.trackers.puppet:PuppetNetTracker",
}
