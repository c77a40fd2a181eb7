"""The published systems that the tables compare with: a room each, with the tensors of the released checkpoints."""
