"""3D-FOMM's network, with the tensors of the released checkpoint."""
