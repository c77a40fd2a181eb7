"""The published systems that the tables compare with: one file each, with the tensors of the released checkpoints."""
