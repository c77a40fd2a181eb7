"""Who fits a head to a face: the networks of DECA and Deep3DFaceRecon, and the fitter of landmarks."""
