"""What is done on a bare machine with a GPU: tests, timings and reference runs (docs/device.md)."""
