"""The procedural corpus: people, motion, light and cameras, rendered to real videos with their truth."""
