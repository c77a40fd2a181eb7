"""Networks that look at a face: the trackers that fit it and the judge that scores it."""
