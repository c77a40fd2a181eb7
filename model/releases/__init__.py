"""What others release, read without running it: heads become our arrays, files of torch and TensorFlow tensors."""
