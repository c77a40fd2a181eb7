"""What drives published systems: the drawings, crops and coefficients that their networks were trained on."""
