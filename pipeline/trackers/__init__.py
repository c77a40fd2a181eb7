"""Who looks at a face: FAN, DECA, Deep3DFaceRecon, the fitter of landmarks, the puppet tracker."""
