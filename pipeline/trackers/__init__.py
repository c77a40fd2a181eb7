"""Who looks at a face: FAN, DECA, Deep3DFaceRecon, the face mesh, the fitter of landmarks, the puppet tracker."""
