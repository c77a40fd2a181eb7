"""Stage crop: from videos to packed clips."""
