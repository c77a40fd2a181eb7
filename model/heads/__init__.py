"""3-D heads: one model for FLAME, BFM, ICT and the puppets, and the cameras that project them."""
