"""What a clip list can come from, the boxes in it, and what is to be forgotten."""
