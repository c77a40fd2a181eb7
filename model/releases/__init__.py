"""What FLAME, the Basel face and ICT-FaceKit release, read without running anything in it, as our arrays."""
