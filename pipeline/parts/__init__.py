"""Stage `parts`: part labels of training frames, where the data set has them and a method learns from them."""
