"""X2Face's network, with the tensors of the released checkpoint."""
