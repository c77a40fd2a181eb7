"""Distance of feature maps by a network that nobody has taught people's judgements: like LPIPS, and not LPIPS."""

from pipeline.metrics.lpips import PerceptualDistance
from pipeline.metrics.protocols import Size


class FeatureDistance(PerceptualDistance):
    """Distance of unit-normalised feature maps of the target and the generated image, same identity only.

    Choice: a column of its own where LPIPS's networks cannot be had: its numbers have another scale than LPIPS, and
    stand under another name, so that nobody compares the two.
    """

    name = "feature_distance"
    label = "Feature dist."

    @classmethod
    def metric_id(cls, backend_name: str, head: str, size_hw: Size) -> str:
        """E.g. `feature_distance[efficientnet_lite0]`."""
        return f"feature_distance[{backend_name}]"
