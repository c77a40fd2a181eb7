"""Which surface is seen at each pixel, and what it shows there."""
