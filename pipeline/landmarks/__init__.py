"""Stage landmarks: whose face is where in videos that come with nothing but themselves."""
